"""The task: one tracker issue on its way through the pipeline, small enough for one screen of `nats stream get`."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct, field

from conveyor.contracts.commands import GateCause
from conveyor.contracts.events import GateState

CREATED = "created"
"""The stage before the first: a task that waits for what it depends on."""
DONE = "done"
CANCELLED = "cancelled"
TERMINAL = frozenset({DONE, CANCELLED})


class Waiting(StrEnum):
    """What a task waits for; exactly one thing, so that nobody has to guess why it stands still."""

    NOTHING = ""
    RUN = "run"
    RETRY = "retry"
    GATE = "gate"
    FACTS = "facts"
    """The gate is pending on the forge: CI, a review, a commit."""
    PERSON = "person"
    ANSWER = "answer"
    EFFECT = "effect"
    DEPENDENCY = "dependency"


class Run(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The task's current run; the outcome of any other is ignored (rule 5)."""

    run_id: str
    role: str
    agent: str
    attempt: int
    runner_id: str = ""
    started_at: datetime | None = None
    not_before: datetime | None = None
    paused: str = ""
    """Why nobody may run it before `not_before` though nothing failed; empty when it is not paused."""


class GateWatch(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The evaluation that is out, or what the last one found."""

    gate_id: str
    cause: GateCause
    sha: str = ""
    state: GateState | None = None
    """None while the evaluation is out."""
    check: str = ""
    """The first check that did not pass."""
    reason: str = ""
    announced: str = ""
    """The reason last told to people, so that it is told once (SE-12)."""
    look_again: bool = False
    """Something the gate reads changed while the evaluation was out."""
    run_id: str = ""
    """The run whose result is judged."""
    approved_by: str = ""
    """Whose approval counts at this commit, until the stage's agent runs again."""
    asked_at: datetime | None = None
    """When the agent's questions were put to people; an answer is younger."""


class Budget(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was used: rollbacks into each stage, tries at the piece of work at hand, money.

    An operator's retry sets rollbacks and tries back to nothing; money stays spent.
    """

    rollbacks: dict[str, int] = {}
    failures: int = 0
    transients: int = 0
    idle: dict[str, int] = {}
    """Role -> how many of its runs in a row changed nothing."""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0


class Task(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything `decide` needs to know of a task."""

    project: str
    key: str
    issue_id: str
    title: str
    stage: str
    created_at: datetime
    """When it was started, or last taken up again after it had been cancelled."""
    entered_at: datetime
    """When it entered its present stage; a verdict given earlier is ignored (SE-7)."""
    delivered_at: datetime | None = None
    """When the last run of its present stage ended; a verdict given earlier judged something older."""
    edited_at: datetime | None = None
    """The issue's time behind title and dependencies; older news of them is ignored."""
    branch: str
    waiting: Waiting = Waiting.NOTHING
    since: datetime | None = None
    """When it began to wait for what it waits for."""
    awaiting: str = ""
    """The command id of the effect it waits for."""
    head: str = ""
    """The last known commit of its branch on the forge."""
    pull_request: int = 0
    merge_sha: str = ""
    """The merge commit; empty until merged. From then on nothing rolls back."""
    run: Run | None = None
    run_verdict: str = ""
    changed: bool = False
    """Whether a run of the present stage changed the tree."""
    gate: GateWatch | None = None
    facts: dict[str, str] = {}
    """What was already acted upon at this head: context -> state, `review/<who>` -> verdict."""
    facts_at: dict[str, datetime] = {}
    """When each of them was said; an older word on the same matter is ignored."""
    instructions: str = ""
    """What the next run must answer to."""
    session_ids: dict[str, str] = {}
    """The last session of each role, for a resume."""
    budget: Budget = Budget()
    depends_on: tuple[str, ...] = ()
    open_dependencies: tuple[str, ...] = ()
    dependencies_at: datetime | None = None
    """When they were last looked at."""
    last_human_at: datetime | None = None
    """When the last consumed human act was given; an older or equal one is ignored."""
    escalation: str = ""
    """Why it waits for an operator; empty when it does not."""
    retry_stage: str = ""
    """Where an operator's retry goes on when that is not the present stage: the stage that the cap kept it from."""
    status: str = ""
    """The logical status key the tracker should show."""
    ended_at: datetime | None = None
    """When it last ended; stays when it is taken up again, and tells that it had a former life."""
    cursor: int = 0
    """The EVENTS sequence of the last event it has seen."""
    revision: int = 0
    """How many transitions made it; the first is 1."""
    v: int = field(default_factory=lambda: 1)

    @property
    def is_over(self) -> bool:
        """Whether it reached done or cancelled."""
        return self.stage in TERMINAL

    @property
    def is_escalated(self) -> bool:
        """Whether it waits for an operator and must not be nudged."""
        return bool(self.escalation)
