"""What a webhook delivery of Gitea's can say, in our words."""

from datetime import datetime

from msgspec import Struct

from conveyor.adapters.gitea.hook_shapes import PullData


class Push(Struct, frozen=True, kw_only=True):
    """A branch moved. `branch` is empty for a tag, `before` for a new branch, `after` for a deleted tag.

    Gitea's own test button sends one with `before == after`.
    """

    branch: str
    before: str
    after: str


class RefChange(Struct, frozen=True, kw_only=True):
    """A branch or tag was made or deleted; `name` is short, `sha` empty when deleted (no push tells of that)."""

    name: str
    is_branch: bool
    is_created: bool
    sha: str = ""


class PullChange(Struct, frozen=True, kw_only=True):
    """A pull request as it was when the delivery was built.

    `action` is Gitea's (opened, synchronized, closed, reopened, edited, label_updated ...), with `merged` for a
    closing that merged.
    """

    action: str
    number: int
    title: str
    head_branch: str
    head_sha: str
    base_branch: str
    is_open: bool
    merged: bool
    merge_sha: str
    author: str
    is_foreign: bool = False
    """Whether its branch lies in another repository, where anybody may name a branch as they like."""
    at: datetime
    """When Gitea last touched it; of a merge, when it was merged."""


class Review(Struct, frozen=True, kw_only=True):
    """The sender reviewed. `verdict`: approved, rejected or commented. The reviewed commit is not told."""

    pull: PullChange
    verdict: str
    text: str


class Comment(Struct, frozen=True, kw_only=True):
    """Somebody spoke in the conversation of an issue or pull request; `action`: created, edited or deleted."""

    action: str
    comment_id: int
    number: int
    is_pull: bool
    text: str
    at: datetime


class Status(Struct, frozen=True, kw_only=True):
    """CI spoke of one commit in one context; no branch is named."""

    sha: str
    context: str
    state: str
    description: str
    target_url: str
    at: datetime


class WorkflowRun(Struct, frozen=True, kw_only=True):
    """One attempt of a workflow. `action`: requested, in_progress or completed; `branch` is empty for pull requests."""

    action: str
    run: int
    attempt: int
    sha: str
    branch: str
    conclusion: str
    title: str
    at: datetime | None


Content = Push | RefChange | PullChange | Review | Comment | Status | WorkflowRun


def pull_of(data: PullData, action: str) -> PullChange:
    """Return Gitea's pull request in our words; the label keeps the branch's name after the branch is gone."""
    is_merge = action == "closed" and data.merged
    return PullChange(
        action="merged" if is_merge else action,
        number=data.number,
        title=data.title,
        head_branch=data.head.label if data.head.ref.startswith("refs/pull/") else data.head.ref,
        head_sha=data.head.sha,
        base_branch=data.base.ref,
        is_open=data.state == "open",
        merged=data.merged,
        merge_sha=(data.merge_commit_sha or "") if data.merged else "",
        author=data.user.login if data.user else "",
        is_foreign=data.head.repo_id != data.base.repo_id,
        at=data.merged_at if is_merge and data.merged_at else data.updated_at,
    )
