"""What the reconciler needs from outside, as it needs it; `app` says who does it."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol

from conveyor.contracts.commands import Level
from conveyor.contracts.events import AnyEvent
from conveyor.contracts.observed import (
    CiStatus,
    PullRequest,
    Review,
    StateChange,
    TrackerComment,
    TrackerIssue,
    TrackerState,
)
from conveyor.contracts.transition import TaskRecord


class Tracker(Protocol):
    """The tracker, read only. TransientError while it cannot be asked, PermanentError when it refuses."""

    async def me(self) -> str:
        """Return our own user id."""

    async def states(self, project_id: str) -> tuple[TrackerState, ...]:
        """Return the states of a project, from a cache."""

    async def own_state(self, project_id: str, key: str) -> TrackerState | None:
        """Return the project's own state of a logical key; None when it has none."""

    def changed_issues(self, project_id: str, since: datetime) -> AsyncIterator[TrackerIssue]:
        """Yield what changed since then, newest first."""

    async def last_move(self, project_id: str, issue_id: str) -> StateChange | None:
        """Return the latest change of an issue's state; None when it never moved."""

    async def issue(self, project_id: str, issue_id: str) -> TrackerIssue | None:
        """Return an issue as it is now; None when it was deleted or archived."""

    async def comments(self, project_id: str, issue_id: str) -> tuple[TrackerComment, ...]:
        """Return an issue's comments, oldest first."""

    async def relations(self, project_id: str, issue_id: str) -> tuple[str, ...]:
        """Return the ids of the issues that block this one."""


class Forge(Protocol):
    """The forge, read only. TransientError while it cannot be asked, PermanentError when it refuses."""

    async def branch_sha(self, repo: str, branch: str) -> str | None:
        """Return the head of a branch; None when there is none."""

    async def ci_status(self, repo: str, sha: str, required: tuple[str, ...]) -> CiStatus:
        """Return CI of one commit over its required contexts, or all."""

    async def pull_request(self, repo: str, number: int) -> PullRequest | None:
        """Return a pull request; None when there is none."""

    async def me(self) -> str:
        """Return our own login."""

    async def find_pull_request(self, repo: str, branch: str, base: str) -> PullRequest | None:
        """Return the open pull request from a branch into a base; None when there is none."""

    async def branches(self, repo: str) -> tuple[str, ...]:
        """Return the names of all branches."""

    async def reviews(self, repo: str, number: int) -> tuple[Review, ...]:
        """Return the reviews of a pull request, oldest first."""


class Stored(Protocol):
    """The bus's word that an event is safe on disk."""

    @property
    def duplicate(self) -> bool:
        """Whether it was there already."""


class Events(Protocol):
    """The log of events."""

    async def publish(self, event: AnyEvent) -> Stored:
        """Return once the event is safe; TransientError when nobody says so."""


class StoredTask(Protocol):
    """One revision of one task, and where it lies."""

    @property
    def record(self) -> TaskRecord:
        """The revision."""

    @property
    def seq(self) -> int:
        """Its sequence in the log of tasks."""


class StoredRevision(Protocol):
    """One revision of a task."""

    @property
    def record(self) -> TaskRecord:
        """The revision."""


class Tasks(Protocol):
    """The tasks as they are now."""

    async def all(self, project: str | None = None) -> Sequence[StoredTask]:
        """Return the latest revision of every task, of one project or of all."""

    async def since(self, seq: int) -> Sequence[StoredTask]:
        """Return every revision stored behind a sequence, of all projects, oldest first."""

    async def history(self, project: str, key: str) -> Sequence[StoredRevision]:
        """Return every revision of a task, oldest first."""


class Entry(Protocol):
    """What a bucket holds under one key."""

    @property
    def value(self) -> bytes:
        """The bytes."""


class Notes(Protocol):
    """The bucket that remembers what was looked at."""

    async def get(self, key: str) -> Entry | None:
        """Return what stands under a key."""

    async def put(self, key: str, value: bytes) -> object:
        """Write it down, over what stood there."""


class Messenger(Protocol):
    """Somebody who tells people. TransientError or PermanentError when it could not."""

    async def __call__(self, text: str, key: str, level: Level = Level.INFO) -> None:
        """Send one sentence, about one issue unless the key is empty."""
