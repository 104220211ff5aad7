"""What a delivery tells, in words that no tracker or forge owns; readers turn each source's payloads into these."""

from datetime import datetime

from msgspec import Struct

from conveyor.contracts.events import Actor
from conveyor.contracts.observed import TrackerState


class Issue(Struct, frozen=True, kw_only=True):
    """An issue as the tracker showed it when it packed the delivery."""

    issue_id: str
    tracker_project_id: str
    number: int
    title: str
    description: str
    """Text, tags stripped, one line a block."""
    state: TrackerState
    state_key: str
    """The logical key of the state, by its name: `approved`, `rejected` …; empty for a name that is not ours."""
    created_at: datetime
    updated_at: datetime
    is_touched: bool = False
    """Whether anybody changed it since it was created."""


class IssueTold(Struct, frozen=True, kw_only=True):
    """An issue was created, or one of its fields changed."""

    issue: Issue
    field: str
    """What changed, by one name whoever changed it: state, name, description, labels, assignees, priority …;
    empty for a new issue."""
    new_value: str = ""
    actor: Actor


class IssueGone(Struct, frozen=True, kw_only=True):
    """An issue was deleted; nothing but its id is left."""

    issue_id: str
    actor: Actor


class CommentTold(Struct, frozen=True, kw_only=True):
    """Somebody commented on an issue. Later edits are told as Other: they are no commands (SE-7)."""

    comment_id: str
    issue_id: str
    tracker_project_id: str
    text: str
    """Text, tags stripped, one line a block."""
    created_at: datetime
    actor: Actor
    is_edited: bool = False
    """Whether anybody rewrote it since: the words may not be the actor's."""
    is_ours: bool = False
    """Whether it carries the mark of our own comments."""


class PushTold(Struct, frozen=True, kw_only=True):
    """A branch moved. `before` is empty for a new branch."""

    repository: str
    branch: str
    before: str
    sha: str
    actor: Actor


class PullTold(Struct, frozen=True, kw_only=True):
    """A pull request was opened, pushed to, closed, merged or reopened."""

    repository: str
    number: int
    action: str
    branch: str
    head_sha: str
    at: datetime
    actor: Actor
    merge_sha: str = ""
    is_foreign: bool = False
    """Whether its branch lies in another repository: anybody may name a branch there as they like."""


class ReviewTold(Struct, frozen=True, kw_only=True):
    """Somebody reviewed a pull request: approved, rejected or commented."""

    pull: PullTold
    review: str
    text: str


class StatusTold(Struct, frozen=True, kw_only=True):
    """CI spoke of one commit in one context. The actor is who runs CI, or whose push set it off."""

    repository: str
    sha: str
    context: str
    state: str
    at: datetime | None
    """None where the source gave no time: it happened when we heard of it."""
    actor: Actor
    run: int = 0
    """The workflow run that finished; 0 for a status that somebody posted."""
    attempt: int = 0
    branch: str = ""
    """Known for workflow runs only, and not for all."""


class Other(Struct, frozen=True, kw_only=True):
    """Something the pipeline has no use for; `is_test` when the source only tried whether we are there."""

    what: str
    is_test: bool = False


class Unreadable(Struct, frozen=True, kw_only=True):
    """Told in a way that we do not read, though it may matter: a later version of the source's webhooks."""

    why: str
    """A sentence that says what to change."""


Told = IssueTold | IssueGone | CommentTold | PushTold | PullTold | ReviewTold | StatusTold | Other | Unreadable
