"""Whom the runner talks to, as it sees them: a forge, a tracker, and a reader of what an agent prints."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from conveyor.contracts.observed import PullRequest, TrackerIssue
from conveyor.contracts.outcomes import Usage
from conveyor.runner.core.classify import Report


class Forge(Protocol):
    """The git forge's interface; raises TransientError or PermanentError when it cannot be answered."""

    async def ensure_pull_request(self, repo: str, branch: str, base: str, title: str, body: str) -> PullRequest:
        """Return the open pull request from a branch into `base`, opened when there is none."""


class Tracker(Protocol):
    """The issue tracker; raises TransientError or PermanentError when it cannot be answered."""

    async def issue(self, project_id: str, issue_id: str) -> TrackerIssue | None:
        """Return the issue as it is now; None when it is gone."""


class AgentReport(Report, Protocol):
    """A report with the provider's wishes for the next try."""

    @property
    def retry_after_s(self) -> float | None:
        """The wait the provider asked for, in seconds."""

    @property
    def resets_at(self) -> datetime | None:
        """When a used-up limit is full again."""


class AgentParser(Protocol):
    """Reads one run's standard output line by line; never raises."""

    def feed(self, line: bytes) -> None:
        """Take one line."""

    @property
    def has_result(self) -> bool:
        """Whether the agent has given its result and only needs to exit."""

    @property
    def hopeless(self) -> str:
        """Why waiting makes no sense; empty while it does."""

    @property
    def usage(self) -> Usage:
        """What it told of its use so far."""

    @property
    def is_session_total(self) -> bool:
        """Whether that counts a resumed session's earlier runs too."""

    def result(self) -> AgentReport:
        """Return what the output says so far."""


ParserFor = Callable[[str], AgentParser]
"""Makes a parser for an output format by its name."""
