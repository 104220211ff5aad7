"""Work somebody must do, ordered by a transition. A command's id derives from it, so ordering twice is once.

Whoever takes a command checks it against the task as it is now; what came of it is an event again.
"""

from enum import StrEnum

from msgspec import Struct, field

from conveyor.contracts.moments import Moment


class Command(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """What every command carries."""

    command_id: str
    project: str
    key: str
    revision: int
    """The revision of the task that ordered it."""
    trace_id: str
    issued_at: Moment
    v: int = field(default_factory=lambda: 1)


class Priority(StrEnum):
    """The queue a run waits in; runners take high before normal before low."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class Update(StrEnum):
    """How the target branch is brought into the task's branch before a run."""

    NONE = "none"
    REBASE = "rebase"
    MERGE = "merge"


class StartRun(Command, frozen=True, kw_only=True, tag=True):
    """Run one agent once for this task."""

    run_id: str
    stage: str
    role: str
    agent: str
    attempt: int
    """1 for the first try at this piece of work."""
    issue_id: str
    title: str
    branch: str
    pool: str = "default"
    priority: Priority = Priority.NORMAL
    timeout_s: int = 1800
    docs_dir: str = ""
    documents: tuple[str, ...] = ()
    """The documents this stage has to leave, relative to `docs_dir`."""
    clears: tuple[str, ...] = ()
    """Documents that must be written by this very run: what an earlier one left is removed before it begins."""
    instructions: str = ""
    """What this run must answer to: review findings, a person's reason, an answer."""
    session_id: str = ""
    """The agent's session to resume; empty for a new one."""
    opens_pull_request: bool = False
    update: Update = Update.NONE
    budgets: dict[str, float] = {}
    """What is left in US dollars, by whose budget it is (`run`, `task`); the run is stopped when one is spent."""


class CancelRun(Command, frozen=True, kw_only=True, tag=True):
    """Stop a run that is no longer wanted."""

    run_id: str
    reason: str


class GateCause(StrEnum):
    """Why a gate is looked at, which decides how its failure is told (SE-12)."""

    AGENT = "agent"
    PERSON = "person"
    WEBHOOK = "webhook"
    NUDGE = "nudge"


class EvaluateGate(Command, frozen=True, kw_only=True, tag=True):
    """Look at the facts behind the named checks, in this order, at one commit."""

    stage: str
    checks: tuple[str, ...]
    cause: GateCause
    sha: str
    branch: str
    issue_id: str
    docs_dir: str
    documents: tuple[str, ...] = ()
    pull_request: int = 0
    run_id: str = ""
    """The run whose result is judged; empty when none."""
    run_verdict: str = ""
    run_changed: bool = False
    """Whether any run of this stage changed the tree."""
    approved_by: str = ""
    """The person whose approval this evaluation carries; empty when none."""


class SetStatus(Command, frozen=True, kw_only=True, tag=True):
    """Show the task's stage in the tracker, by logical key; the latest only."""

    issue_id: str
    status: str


class PostComment(Command, frozen=True, kw_only=True, tag=True):
    """Say something on the issue, once; the command's id is the marker."""

    issue_id: str
    text: str


class EnsureBranch(Command, frozen=True, kw_only=True, tag=True):
    """Make the task's branch from the target branch, unless it exists."""

    branch: str


class Merge(Command, frozen=True, kw_only=True, tag=True):
    """Bring the task's pull request into the target branch, guarded by its head commit (SE-16)."""

    branch: str
    pull_request: int
    head: str


class DeleteBranch(Command, frozen=True, kw_only=True, tag=True):
    """Remove the task's branch from the forge, unless it holds what the task does not know of."""

    branch: str
    head: str = ""
    """The commit that the task knows; empty: whatever stands there."""


class Level(StrEnum):
    """How loud a notification is."""

    INFO = "info"
    WARNING = "warning"
    ALERT = "alert"


class Notify(Command, frozen=True, kw_only=True, tag=True):
    """Tell people where they chat, once, with a link to the issue."""

    issue_id: str
    text: str
    level: Level = Level.INFO


class CheckHealth(Command, frozen=True, kw_only=True, tag=True):
    """Watch the deployed system for a window and report whether it stayed healthy (SE-18)."""

    window_s: int


class CheckDependencies(Command, frozen=True, kw_only=True, tag=True):
    """Look which of these tasks are still open and whether they go in a circle (SE-15)."""

    depends_on: tuple[str, ...]


class ReleaseDependents(Command, frozen=True, kw_only=True, tag=True):
    """This task is over: look again at those that wait for it."""


class ArmTimer(Command, frozen=True, kw_only=True, tag=True):
    """Publish TimerFired at this time; it names this run and revision."""

    timer: str
    fires_at: Moment
    run_id: str


AnyCommand = (
    StartRun
    | CancelRun
    | EvaluateGate
    | SetStatus
    | PostComment
    | EnsureBranch
    | Merge
    | DeleteBranch
    | Notify
    | CheckHealth
    | CheckDependencies
    | ReleaseDependents
    | ArmTimer
)
