"""Whom the engine talks to, as it sees them: a tracker, a forge and somebody who tells people."""

from typing import Protocol

from conveyor.contracts.commands import Level
from conveyor.contracts.observed import (
    CiStatus,
    MergeResult,
    PullRequest,
    Review,
    StateChange,
    TrackerIssue,
    TrackerMember,
    TrackerState,
)


class Tracker(Protocol):
    """The issue tracker. Every call raises TransientError or PermanentError when it cannot be answered."""

    async def states(self, project_id: str) -> tuple[TrackerState, ...]:
        """Return the project's states, cached for 300 s (SE-14)."""

    async def resolve(self, project_id: str, key: str) -> TrackerState:
        """Return the state that shows a logical key in this project, degraded where it has no such state (SE-13)."""

    async def members(self, project_id: str) -> tuple[TrackerMember, ...]:
        """Return the project's members with their roles."""

    async def issue(self, project_id: str, issue_id: str) -> TrackerIssue | None:
        """Return the issue as it is now; None when it is gone."""

    async def issue_by_key(self, key: str) -> TrackerIssue | None:
        """Return the issue of this key as it is now; None when there is none."""

    async def last_move(self, project_id: str, issue_id: str) -> StateChange | None:
        """Return who moved the issue into its present state, and when; None when it never moved."""

    async def relations(self, project_id: str, issue_id: str) -> tuple[str, ...]:
        """Return the ids of the issues that block this one."""

    async def set_state(self, project_id: str, issue_id: str, state_id: str) -> None:
        """Move the issue to this state."""

    async def comment(self, project_id: str, issue_id: str, text: str, marker: str) -> None:
        """Say this on the issue, once for each marker."""


class Forge(Protocol):
    """The git forge. Every call raises TransientError or PermanentError when it cannot be answered."""

    async def branch_sha(self, repo: str, branch: str) -> str | None:
        """Return the commit a branch is at; None when there is no such branch."""

    async def ensure_branch(self, repo: str, branch: str, base: str) -> str:
        """Make the branch from `base` unless it exists; return the commit it is at."""

    async def delete_branch(self, repo: str, branch: str) -> None:
        """Remove the branch; one that is gone already is fine."""

    async def read_file(self, repo: str, path: str, ref: str) -> str | None:
        """Return a file's text at a commit; None when it is not there."""

    async def ci_status(self, repo: str, sha: str, required: tuple[str, ...]) -> CiStatus:
        """Return CI of one commit over all pages, or over the required contexts alone."""

    async def pull_request(self, repo: str, number: int) -> PullRequest | None:
        """Return the pull request as it is now; None when there is none."""

    async def reviews(self, repo: str, number: int) -> tuple[Review, ...]:
        """Return every review of the pull request, oldest first."""

    async def compare_changed(self, repo: str, base: str, head: str) -> bool:
        """Whether `head` holds changes that `base` has not."""

    async def commits_beyond(self, repo: str, base: str, head: str) -> tuple[str, ...] | None:
        """Name the commits of `head` that `base` has not, merges left out; None when one of the two is gone."""

    async def update_branch(self, repo: str, number: int, style: str) -> bool:
        """Bring the target into the pull request's branch by `rebase` or `merge`; False when they conflict."""

    async def merge(self, repo: str, number: int, head: str) -> MergeResult:
        """Merge the pull request if its head is still this commit."""


class Messenger(Protocol):
    """Somebody who tells people."""

    async def notify(self, level: Level, text: str, link: str) -> None:
        """Send one message with a link to the issue."""


class Probe(Protocol):
    """Somebody who asks a deployed system how it is."""

    async def healthy(self, url: str) -> bool:
        """Whether it answered well."""
