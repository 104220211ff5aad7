"""What a parser of an agent's output tells the runner, and what every such parser can do."""

from datetime import datetime
from typing import Protocol

from msgspec import Struct

from conveyor.contracts.outcomes import OutcomeReason, Usage

SUMMARY_CHARS = 4000
ERROR_CHARS = 500


class AgentReport(Struct, frozen=True, kw_only=True):
    """What the agent's own output says of the run; the runner weighs it with the exit code and why it stopped."""

    ok: bool | None = None
    """What the agent says of itself; None when it does not say, so that the exit code decides."""
    reason: OutcomeReason | None = None
    """Why it ended so, where the output tells."""
    is_transient: bool = False
    """The trouble is the provider's and passes. Without `ok` it is a hint that counts only when the run failed."""
    retry_after_s: float | None = None
    """The wait the provider asked for, in seconds."""
    resets_at: datetime | None = None
    """When a used-up limit is full again, by the provider's clock."""
    usage: Usage = Usage()
    session_id: str = ""
    summary: str = ""
    """The agent's last words, at most 4,000 characters."""
    error: str = ""
    """What went wrong in the agent's words, at most 500 characters."""
    bad_lines: int = 0
    """Lines that could not be read; never a reason to fail."""


class Parser(Protocol):
    """Reads one run's output while it comes. Memory stays bounded whatever the agent prints."""

    def feed(self, line: bytes) -> None:
        """Take one line of standard output, with or without its line break; never raises."""

    @property
    def has_result(self) -> bool:
        """Whether the agent has given its result and only needs to exit; false again when it goes on working."""

    @property
    def hopeless(self) -> str:
        """Why waiting for the agent makes no sense (a rejected key is retried for minutes); empty while it does."""

    @property
    def usage(self) -> Usage:
        """What the run used so far."""

    @property
    def is_session_total(self) -> bool:
        """Whether `usage` counts a resumed session's earlier runs too."""

    def result(self) -> AgentReport:
        """Return what the output says so far; may be asked more than once."""
