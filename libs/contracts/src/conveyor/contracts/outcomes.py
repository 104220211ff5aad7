"""How a run ended: the closed lists a runner chooses from, and what it measured on the way."""

from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from conveyor.contracts.moments import Moment

LONGEST_LIMIT = timedelta(days=8)
"""The longest usage limits are by the week; a later reset is not believed, and the failure an ordinary one."""


class OutcomeKind(StrEnum):
    """What came of a run (RU-7)."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TRANSIENT = "transient"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    LOST = "lost"


class OutcomeReason(StrEnum):
    """Why it ended so; the one closed list every runner uses."""

    FINISHED = "finished"
    EXIT_CODE = "exit_code"
    AGENT_ERROR = "agent_error"
    LAUNCH_FAILED = "launch_failed"
    WORKSPACE_FAILED = "workspace_failed"
    PUSH_REJECTED = "push_rejected"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    NETWORK = "network"
    WALL_TIME = "wall_time"
    IDLE_TIME = "idle_time"
    CANCELLED_BY_ENGINE = "cancelled_by_engine"
    RUNNER_STOPPED = "runner_stopped"
    RUNNER_DIED = "runner_died"
    BUDGET_SPENT = "budget_spent"
    LIMIT_EXCEEDED = "limit_exceeded"
    """It took more memory, processes or disk than the sandbox gives it."""
    NO_PROGRESS = "no_progress"
    """It did the same again and again."""


class Usage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a run used: tokens as counted by the agent, cost in US dollars as estimated by it."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0


class Outcome(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The one report of a run. The agent's own words in it are hints; gates read facts (rule 7)."""

    kind: OutcomeKind
    reason: OutcomeReason
    detail: str = ""
    """A sentence for people, at most 500 characters."""
    retry_after_s: float | None = None
    """The wait the agent's provider asked for, in seconds."""
    resets_at: Moment | None = None
    """When the account's used-up limit is full again: it waits until then, and that burns no attempt (RU-9)."""
    head: str = ""
    """The commit on the forge that holds what the run left; empty when nothing was pushed."""
    changed: bool = False
    """Whether the run changed the tree compared with the commit it began with."""
    pull_request: int = 0
    """The number of the pull request for the branch; 0 while there is none."""
    verdict: str = ""
    """The verdict of the checked result file; empty when there was no valid one."""
    summary: str = ""
    findings: tuple[str, ...] = ()
    usage: Usage = Usage()
    session_id: str = ""
    """The agent's session, for a later resume (RU-14)."""
    log_subject: str = ""
    """Where the run's output lies in LOGS."""

    def reset_after(self, now: datetime) -> datetime | None:
        """Return when the account's limit is full again; None unless that is to come, and to be believed."""
        if self.resets_at is not None and timedelta(0) < self.resets_at - now <= LONGEST_LIMIT:
            return self.resets_at
        return None
