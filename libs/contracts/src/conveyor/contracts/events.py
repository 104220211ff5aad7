"""Facts that happened. Every event is about one task; its id is its content, so the same fact is stored once.

Gateway, reconciler, runners, engine workers and operators publish them to EVENTS; only `decide` acts on them.
"""

from enum import StrEnum

from msgspec import Struct, field

from conveyor.contracts.moments import Moment
from conveyor.contracts.outcomes import Outcome


class Origin(StrEnum):
    """How the fact reached us (GW-7)."""

    WEBHOOK = "webhook"
    RECONCILER = "reconciler"
    OPERATOR = "operator"
    RUNNER = "runner"
    ENGINE = "engine"
    TIMER = "timer"


class Role(StrEnum):
    """What the acting person may do in the tracker's project; the engine looks it up before it decides (SE-7)."""

    UNKNOWN = "unknown"
    GUEST = "guest"
    MEMBER = "member"
    ADMIN = "admin"
    OPERATOR = "operator"
    BOT = "bot"


class Actor(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who acted: the source's own user id, never a field a caller can set."""

    actor_id: str
    name: str = ""
    role: Role = Role.UNKNOWN


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """What every event carries (GW-7)."""

    event_id: str
    project: str
    key: str
    at: Moment
    """When it happened, by the source's clock; aware, UTC."""
    received_at: Moment
    source: str
    """plane, gitea, operator, runner, engine or timer."""
    origin: Origin
    trace_id: str
    actor: Actor | None = None
    delivery_id: str = ""
    v: int = field(default_factory=lambda: 1)


class IssueStarted(Event, frozen=True, kw_only=True, tag=True):
    """An issue was moved to the start status; the task begins, or the analyst resumes from Needs Input."""

    issue_id: str
    title: str
    depends_on: tuple[str, ...] = ()


class IssueChanged(Event, frozen=True, kw_only=True, tag=True):
    """Text or other fields of the issue changed; the next run sees the new text."""

    issue_id: str
    title: str
    fields: tuple[str, ...] = ()
    depends_on: tuple[str, ...] | None = None
    """What the issue now says it depends on; None when the change did not touch it."""


class VerdictValue(StrEnum):
    """A person's word on the stage at hand."""

    APPROVED = "approved"
    REJECTED = "rejected"


class Via(StrEnum):
    """Through which door a person spoke."""

    STATUS = "status"
    COMMENT = "comment"
    CONSOLE = "console"
    CLI = "cli"


class VerdictGiven(Event, frozen=True, kw_only=True, tag=True):
    """A person approved or rejected; `at` is when the verdict was given, which makes it consumable once (SE-7)."""

    verdict: VerdictValue
    via: Via
    issue_id: str = ""
    reason: str = ""


class CommentAdded(Event, frozen=True, kw_only=True, tag=True):
    """A person said something on the issue; in Needs Input it is the answer."""

    comment_id: str
    text: str


class CloseKind(StrEnum):
    """How an issue came to its end outside the pipeline."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    DELETED = "deleted"
    ARCHIVED = "archived"


class IssueClosed(Event, frozen=True, kw_only=True, tag=True):
    """A person ended the issue (by state group, deletion or archiving); the task ends with it (SE-19)."""

    how: CloseKind


class BranchPushed(Event, frozen=True, kw_only=True, tag=True):
    """The task's branch moved otherwise than by a run: somebody pushed it, or the merge queue brought the target in."""

    branch: str
    sha: str
    before: str = ""


class CommitStatusChanged(Event, frozen=True, kw_only=True, tag=True):
    """CI spoke of one commit in one context; it says nothing about the others, so gates look."""

    sha: str
    context: str
    state: str


class PullRequestAction(StrEnum):
    """What happened to the pull request."""

    OPENED = "opened"
    SYNCHRONIZED = "synchronized"
    CLOSED = "closed"
    MERGED = "merged"
    REOPENED = "reopened"


class PullRequestChanged(Event, frozen=True, kw_only=True, tag=True):
    """The task's pull request was opened, pushed to, closed or merged."""

    number: int
    action: PullRequestAction
    head_sha: str = ""
    merge_sha: str = ""


class ReviewValue(StrEnum):
    """What a person's review on the forge says."""

    APPROVED = "approved"
    REJECTED = "rejected"
    COMMENTED = "commented"


class ReviewSubmitted(Event, frozen=True, kw_only=True, tag=True):
    """A person reviewed the pull request on the forge."""

    number: int
    review: ReviewValue
    text: str = ""
    head_sha: str = ""


class RunStarted(Event, frozen=True, kw_only=True, tag=True):
    """A runner took the run and is about to spawn its agent."""

    run_id: str
    runner_id: str


class RunFinished(Event, frozen=True, kw_only=True, tag=True):
    """The one outcome of a run; ignored when the run is no longer the task's current one (rule 5)."""

    run_id: str
    outcome: Outcome


class GateState(StrEnum):
    """What a gate found."""

    PASSED = "passed"
    PENDING = "pending"
    """Not yet decided: CI still runs, a person has not spoken."""
    REJECTED = "rejected"
    """The work was judged and found wanting: its rollback edge applies."""
    QUESTIONS = "questions"
    """The agent needs an answer before it can go on."""
    BROKEN = "broken"
    """No readable verdict; never a pass and never the agent's own no (SE-9)."""
    FAILED = "failed"
    """It could not be looked at, and looking again will not help: nobody's work is at fault, a person has to act."""


class CheckResult(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One named check of a gate and what it saw."""

    check: str
    state: GateState
    reason: str = ""
    evidence: dict[str, str] = {}


class GateEvaluated(Event, frozen=True, kw_only=True, tag=True):
    """The answer to one EvaluateGate command, named by that command's id."""

    gate_id: str
    sha: str
    results: tuple[CheckResult, ...]


class EffectFinished(Event, frozen=True, kw_only=True, tag=True):
    """An effect the task waits for was carried out, or cannot be."""

    command_id: str
    effect: str
    succeeded: bool
    reason: str = ""
    result: dict[str, str] = {}


class Nudged(Event, frozen=True, kw_only=True, tag=True):
    """The reconciler saw that something this task's gate reads differs from what its last evaluation saw (RC-4)."""

    gate_id: str
    """The evaluation it saw; an older one makes the nudge void."""
    reason: str


class DependencyChanged(Event, frozen=True, kw_only=True, tag=True):
    """What the task depends on was looked at: which of it is still open, and whether it goes in a circle (SE-15)."""

    depends_on: tuple[str, ...]
    open_keys: tuple[str, ...]
    cycle: tuple[str, ...] = ()


class TimerFired(Event, frozen=True, kw_only=True, tag=True):
    """A delay is over. Names the run and revision it was armed for: a late or second one is ignored (rule 3)."""

    timer: str
    run_id: str
    revision: int


class OperatorAction(StrEnum):
    """What an operator can ask of a task beside verdicts and answers."""

    RETRY = "retry"
    CANCEL = "cancel"


class OperatorActed(Event, frozen=True, kw_only=True, tag=True):
    """An operator asked for something by console or CLI."""

    action: OperatorAction
    reason: str = ""


AnyEvent = (
    IssueStarted
    | IssueChanged
    | VerdictGiven
    | CommentAdded
    | IssueClosed
    | BranchPushed
    | CommitStatusChanged
    | PullRequestChanged
    | ReviewSubmitted
    | RunStarted
    | RunFinished
    | GateEvaluated
    | EffectFinished
    | Nudged
    | DependencyChanged
    | TimerFired
    | OperatorActed
)
