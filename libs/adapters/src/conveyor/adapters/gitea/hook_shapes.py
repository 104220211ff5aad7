"""What we read of Gitea's webhook bodies; unknown fields are ignored."""

from datetime import datetime

from msgspec import Struct

from conveyor.adapters.gitea.shapes import SideRow, UserRow


class Person(Struct, frozen=True):
    """An account; the login is what the rest of the forge's interface uses."""

    login: str
    id: int = 0


class Repository(Struct, frozen=True):
    """The repository a delivery is about."""

    full_name: str


class Envelope(Struct, frozen=True):
    """What every delivery that we use has."""

    repository: Repository | None = None
    sender: Person | None = None


class PushHook(Struct, frozen=True):
    """A branch or tag moved; `ref` is the full name."""

    ref: str
    before: str
    after: str


class RefHook(Struct, frozen=True):
    """A branch or tag was made or deleted; `ref` is the short name, the full one on Forgejo; deleted has no sha."""

    ref: str
    ref_type: str
    sha: str = ""


class PullData(Struct, frozen=True):
    """A pull request, computed when the delivery was built and not when the thing happened."""

    number: int
    title: str
    state: str
    head: SideRow
    base: SideRow
    updated_at: datetime
    merged: bool = False
    merge_commit_sha: str | None = None
    merged_at: datetime | None = None
    closed_at: datetime | None = None
    user: UserRow | None = None


class ReviewData(Struct, frozen=True):
    """A review without an id or a commit."""

    type: str
    content: str = ""


class PullHook(Struct, frozen=True):
    """Something happened to a pull request; with `review` it was a review."""

    action: str
    pull_request: PullData


class ReviewHook(Struct, frozen=True):
    """A pull request was reviewed."""

    pull_request: PullData
    review: ReviewData


class CommentData(Struct, frozen=True):
    """A comment of the conversation."""

    id: int
    body: str
    created_at: datetime


class IssueData(Struct, frozen=True):
    """The issue or pull request that was commented on."""

    number: int


class CommentHook(Struct, frozen=True):
    """Somebody commented on an issue or on a pull request's conversation."""

    action: str
    comment: CommentData
    issue: IssueData
    is_pull: bool = False


class StatusHook(Struct, frozen=True):
    """One context of one commit; here the key is `state`, and no branch is named."""

    sha: str
    context: str
    state: str
    created_at: datetime
    updated_at: datetime | None = None
    description: str = ""
    target_url: str = ""


class WorkflowRunData(Struct, frozen=True):
    """One attempt of a workflow; `head_branch` is missing for runs of pull requests."""

    id: int
    head_sha: str
    status: str
    run_attempt: int = 1
    head_branch: str | None = None
    conclusion: str | None = None
    display_title: str = ""
    completed_at: datetime | None = None


class WorkflowHook(Struct, frozen=True):
    """A workflow's run was requested, began or ended."""

    action: str
    workflow_run: WorkflowRunData
