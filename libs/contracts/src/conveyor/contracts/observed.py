"""What the tracker and the forge showed us when asked: plain values that adapters return and pure cores compare."""

from datetime import UTC, datetime
from enum import StrEnum

from msgspec import Struct

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
"""The time of what shows no time that can be read: it counts as old (RC-2)."""


class TrackerState(Struct, frozen=True, kw_only=True):
    """One status of a tracker project. `group`: backlog, unstarted, started, completed or cancelled."""

    state_id: str
    name: str
    group: str


class TrackerMember(Struct, frozen=True, kw_only=True):
    """One member of a tracker project. `role`: guest, member or admin."""

    user_id: str
    name: str
    role: str


class TrackerIssue(Struct, frozen=True, kw_only=True):
    """One issue as the tracker has it now."""

    issue_id: str
    key: str
    title: str
    state_id: str
    description: str
    """The description's text, tags stripped, blocks separated by line breaks."""
    updated_at: datetime
    created_at: datetime


class TrackerComment(Struct, frozen=True, kw_only=True):
    """One comment as the tracker lists it; `actor_id` is who wrote it, `is_ours` what the writer claimed."""

    comment_id: str
    actor_id: str
    text: str
    at: datetime
    """When it was first written."""
    is_edited: bool = False
    is_ours: bool = False


class StateChange(Struct, frozen=True, kw_only=True):
    """The latest move of an issue into its present status, from its activity list."""

    activity_id: str
    state_id: str
    actor_id: str
    at: datetime


class CiState(StrEnum):
    """CI of one commit, over all its contexts (or the required ones)."""

    NONE = "none"
    PENDING = "pending"
    GREEN = "green"
    RED = "red"


class CiStatus(Struct, frozen=True, kw_only=True):
    """The combined state with the contexts behind it, `context -> state`."""

    state: CiState
    contexts: dict[str, str] = {}


class PullRequest(Struct, frozen=True, kw_only=True):
    """One pull request as the forge has it now."""

    number: int
    is_open: bool
    merged: bool
    head_branch: str
    head_sha: str
    merge_sha: str = ""
    mergeable: bool = False
    """The forge's own word; false also means "still checking" (docs/protocols.md, Gitea)."""
    closed_at: datetime | None = None
    """When it was closed or merged; None while it is open, and where the forge does not say."""


class Review(Struct, frozen=True, kw_only=True):
    """One review. `verdict`: approved, rejected or commented."""

    reviewer: str
    verdict: str
    commit_id: str
    dismissed: bool = False
    stale: bool = False
    text: str = ""


class MergeAnswer(StrEnum):
    """What the forge said to a merge (docs/protocols.md, Gitea)."""

    MERGED = "merged"
    HEAD_MOVED = "head_moved"
    RETRY = "retry"
    CHECKS = "checks"
    """The forge still waits for a status check that it requires, or that check is red."""
    BLOCKED = "blocked"
    CONFLICT = "conflict"
    GONE = "gone"


class MergeResult(Struct, frozen=True, kw_only=True):
    """The answer, the merge commit when merged, and the forge's words."""

    answer: MergeAnswer
    merge_sha: str = ""
    reason: str = ""
