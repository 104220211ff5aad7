"""What the simulated Gitea knows: users, repositories, pull requests, reviews, statuses and hooks. Plain data, without
behaviour beyond looking things up.
"""

import asyncio
import dataclasses
from typing import Literal

from conveyor.simulator.gitea.git import GitRepository

Permission = Literal["none", "read", "write", "admin", "owner"]
RANK: tuple[Permission, ...] = ("none", "read", "write", "admin", "owner")
CheckStatus = Literal["checking", "mergeable", "conflict", "ancestor", "empty"]
WIP_PREFIXES = ("WIP:", "[WIP]")


class RefusalError(Exception):
    """An answer other than success: HTTP status and the human text of `message`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status} {message}")
        self.status = status
        self.message = message


@dataclasses.dataclass
class User:
    """An account; `tokens` maps each secret to its scopes."""

    id: int
    login: str
    email: str
    password: str
    created_at: str
    is_admin: bool = False
    tokens: dict[str, "Token"] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Token:
    """An access token's name and scopes; the scope `all` opens everything."""

    id: int
    name: str
    scopes: frozenset[str]


@dataclasses.dataclass
class Review:
    """One review as stored; `stale` is not stored but seen from the head."""

    id: int
    user: User
    state: str
    body: str
    commit_id: str
    official: bool
    submitted_at: str
    dismissed: bool = False


@dataclasses.dataclass
class Comment:
    """A comment of a pull request's conversation."""

    id: int
    user: User
    body: str
    created_at: str
    updated_at: str


@dataclasses.dataclass
class Status:
    """One commit status as posted; `index` counts per commit, `id` over all."""

    id: int
    index: int
    sha: str
    state: str
    context: str
    description: str
    target_url: str
    creator: User
    created_at: str


@dataclasses.dataclass
class Hook:
    """A registered webhook with its secret, which no answer ever shows."""

    id: int
    url: str
    content_type: str
    secret: str
    events: list[str]
    active: bool
    branch_filter: str
    authorization_header: str
    created_at: str
    updated_at: str
    type: str = "gitea"


@dataclasses.dataclass
class Protection:
    """A branch protection rule, by exact branch name."""

    branch: str
    enable_push: bool = True
    enable_status_check: bool = False
    status_check_contexts: list[str] = dataclasses.field(default_factory=list)
    required_approvals: int = 0
    block_on_rejected_reviews: bool = False
    block_on_outdated_branch: bool = False


@dataclasses.dataclass
class Extent:
    """How large a pull request is, and where it left its base; measured by git whenever a side moves."""

    merge_base: str = ""
    additions: int = 0
    deletions: int = 0
    changed_files: int = 0


@dataclasses.dataclass
class Pull:
    """A pull request; its head sha is looked up live while its branch stands."""

    id: int
    number: int
    title: str
    body: str
    user: User
    base: str
    head: str
    head_sha: str
    created_at: str
    updated_at: str
    state: Literal["open", "closed"] = "open"
    check: CheckStatus = "checking"
    check_round: int = 0
    judged: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)
    extent: Extent = dataclasses.field(default_factory=Extent)
    merged_at: str | None = None
    merge_commit_sha: str | None = None
    merged_by: User | None = None
    merged_base_sha: str | None = None
    closed_at: str | None = None
    reviews: list[Review] = dataclasses.field(default_factory=list)
    comments: list[Comment] = dataclasses.field(default_factory=list)
    requested_reviewers: list[User] = dataclasses.field(default_factory=list)

    @property
    def merged(self) -> bool:
        """Whether it has been merged."""
        return self.merged_at is not None

    @property
    def draft(self) -> bool:
        """Whether its title marks it as work in progress."""
        return self.title.upper().startswith(WIP_PREFIXES)

    @property
    def mergeable(self) -> bool:
        """Gitea's boolean: false while still checking, true even when there is nothing to merge."""
        return self.check not in ("checking", "conflict") and not self.draft


@dataclasses.dataclass
class Repo:
    """A repository: its git side, and what the forge adds. `refs` mirrors git; `lock` is held by whoever moves one."""

    id: int
    owner: User
    name: str
    private: bool
    default_branch: str
    git: GitRepository
    created_at: str
    updated_at: str
    refs: dict[str, str] = dataclasses.field(default_factory=dict)
    collaborators: dict[str, Permission] = dataclasses.field(default_factory=dict)
    pulls: dict[int, Pull] = dataclasses.field(default_factory=dict)
    statuses: dict[str, list[Status]] = dataclasses.field(default_factory=dict)
    hooks: dict[int, Hook] = dataclasses.field(default_factory=dict)
    protections: dict[str, Protection] = dataclasses.field(default_factory=dict)
    archived: bool = False
    merge_styles: tuple[str, ...] = ("merge", "rebase", "rebase-merge", "squash", "fast-forward-only")
    lock: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)

    @property
    def heads(self) -> dict[str, str]:
        """The branches and where they stand."""
        prefix = "refs/heads/"
        return {ref.removeprefix(prefix): sha for ref, sha in self.refs.items() if ref.startswith(prefix)}

    @property
    def full_name(self) -> str:
        """Owner and name, as in URLs."""
        return f"{self.owner.login}/{self.name}"

    def open_pulls(self) -> list[Pull]:
        """All pull requests that are still open."""
        return [pull for pull in self.pulls.values() if pull.state == "open"]

    def head_sha(self, pull: Pull) -> str:
        """The commit a pull request stands at: its branch's tip while open, else where it last stood."""
        return self.heads.get(pull.head, pull.head_sha) if pull.state == "open" else pull.head_sha

    def permission(self, user: User | None) -> Permission:
        """What a user (None: a stranger) may do here."""
        if user is not None and user.login == self.owner.login:
            return "owner"
        if user is not None and user.is_admin:
            return "admin"
        granted: Permission = "none" if user is None else self.collaborators.get(user.login, "none")
        return "read" if granted == "none" and not self.private else granted

    def allows(self, user: User | None, needed: Permission) -> bool:
        """Whether a user has at least this permission."""
        return RANK.index(self.permission(user)) >= RANK.index(needed)


class World:
    """Everything the server remembers between requests."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.repos: dict[str, Repo] = {}
        self._ids: dict[str, int] = {}

    def next_id(self, kind: str) -> int:
        """Return the next id of this kind, from 1."""
        self._ids[kind] = self._ids.get(kind, 0) + 1
        return self._ids[kind]

    def user(self, login: str) -> User:
        """Return a user; refuses with 404 if there is none."""
        if login not in self.users:
            raise RefusalError(404, f"user redirect does not exist [name: {login}]")
        return self.users[login]

    def repo(self, full_name: str) -> Repo:
        """Return a repository by `owner/name`; refuses with 404 if there is none."""
        if full_name not in self.repos:
            raise RefusalError(404, "The target couldn't be found.")
        return self.repos[full_name]

    def pull(self, repo: Repo, number: int) -> Pull:
        """Return a pull request; refuses with 404 if there is none."""
        if number not in repo.pulls:
            raise RefusalError(404, "The target couldn't be found.")
        return repo.pulls[number]

    def login_by_token(self, secret: str) -> tuple[User, Token] | None:
        """Return whose token this is, if anybody's."""
        return next(((user, user.tokens[secret]) for user in self.users.values() if secret in user.tokens), None)
