"""What we read of Gitea's REST answers; unknown fields are ignored."""

from datetime import datetime

from msgspec import Struct


class UserRow(Struct, frozen=True):
    """An account."""

    login: str


class CommitRow(Struct, frozen=True):
    """The tip of a branch; here the sha is `id`."""

    id: str


class BranchRow(Struct, frozen=True):
    """A branch."""

    name: str
    commit: CommitRow


class EntryRow(Struct, frozen=True):
    """A file with its bytes in base64, or an entry of a folder without them."""

    name: str
    type: str
    content: str | None = None


class StatusRow(Struct, frozen=True):
    """The latest word of one context; unlike in webhooks the key is `status`."""

    context: str
    status: str


class CombinedRow(Struct, frozen=True):
    """One page of a commit's contexts; Gitea's own `state` is of that page alone, so it is not read."""

    statuses: list[StatusRow] | None = None


class SideRow(Struct, frozen=True):
    """One side of a pull request; `ref` turns into refs/pull/<n>/head when the branch is gone, `label` stays."""

    ref: str
    sha: str
    label: str = ""
    repo_id: int = 0


class PullRow(Struct, frozen=True):
    """A pull request."""

    number: int
    state: str
    head: SideRow
    base: SideRow
    merged: bool = False
    merge_commit_sha: str | None = None
    mergeable: bool = False
    closed_at: datetime | None = None


class ReviewRow(Struct, frozen=True):
    """A review; `user` is null when a team was asked or the account is gone."""

    state: str
    user: UserRow | None = None
    commit_id: str | None = None
    body: str | None = None
    dismissed: bool = False
    stale: bool = False


class SignatureRow(Struct, frozen=True):
    """Who wrote a commit, and when."""

    name: str = ""
    email: str = ""
    date: str = ""


class CommitTextRow(Struct, frozen=True):
    """What a commit says of itself."""

    message: str = ""
    author: SignatureRow = SignatureRow()


class ParentRow(Struct, frozen=True):
    """A commit that another stands on."""

    sha: str = ""


class ComparedRow(Struct, frozen=True):
    """One of the commits between two."""

    commit: CommitTextRow = CommitTextRow()
    parents: list[ParentRow] | None = None


class CompareRow(Struct, frozen=True):
    """What one commit has and another has not."""

    total_commits: int
    commits: list[ComparedRow] | None = None


class HookConfigRow(Struct, frozen=True):
    """Where a webhook goes; its secret is never shown."""

    url: str = ""
    content_type: str = ""


class HookRow(Struct, frozen=True):
    """A webhook of a repository."""

    id: int
    active: bool = False
    events: list[str] = []
    config: HookConfigRow = HookConfigRow()


class PermissionsRow(Struct, frozen=True):
    """What the token's account may do in a repository."""

    pull: bool = False
    push: bool = False
    admin: bool = False


class RepoRow(Struct, frozen=True):
    """A repository."""

    default_branch: str = ""
    archived: bool = False
    permissions: PermissionsRow | None = None


class VersionRow(Struct, frozen=True):
    """The server's version."""

    version: str
