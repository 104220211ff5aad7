"""The tracker and the forge as set-up and diagnosis need them; `app` says who they are."""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from msgspec import Struct

from conveyor.contracts.observed import TrackerMember, TrackerState
from conveyor.servicekit.sections import GiteaSettings, PlaneSettings


class Tracker(Protocol):
    """One workspace through one key. TransientError while it cannot be asked, PermanentError when it refuses."""

    @property
    def remaining_calls(self) -> int | None:
        """How many calls are left in this minute; None when it has not said."""

    async def me(self) -> str:
        """Return the user id of the key's owner."""

    async def identifier(self, project_id: str) -> str:
        """Return the prefix of a project's keys."""

    async def states(self, project_id: str) -> tuple[TrackerState, ...]:
        """Return a project's states."""

    async def own_state(self, project_id: str, key: str) -> TrackerState | None:
        """Return the project's own state of a logical key; None when it has none."""

    async def resolve(self, project_id: str, key: str) -> TrackerState:
        """Return the state that shows a logical key; PermanentError when nothing can stand for it."""

    async def members(self, project_id: str) -> tuple[TrackerMember, ...]:
        """Return a project's members with their role."""

    async def close(self) -> None:
        """Close the connections."""


class Product(Protocol):
    """Which forge it is."""

    @property
    def name(self) -> str:
        """Gitea or Forgejo."""

    @property
    def version(self) -> str:
        """As it names itself."""

    @property
    def events(self) -> tuple[str, ...]:
        """What a webhook can bring here."""

    @property
    def shortcomings(self) -> tuple[str, ...]:
        """What does not work as with a current Gitea, a sentence each."""


class Rights(Protocol):
    """What the token's account may do in one repository."""

    @property
    def is_archived(self) -> bool:
        """Whether nobody may change it."""

    @property
    def can_read(self) -> bool:
        """Whether it may pull."""

    @property
    def can_push(self) -> bool:
        """Whether it may push."""

    @property
    def is_admin(self) -> bool:
        """Whether it may see and register webhooks."""


class Hook(Protocol):
    """One webhook as the forge shows it."""

    @property
    def hook_id(self) -> int:
        """Its id in the repository."""

    @property
    def url(self) -> str:
        """Whom it calls."""

    @property
    def is_active(self) -> bool:
        """Whether it calls at all."""

    @property
    def content_type(self) -> str:
        """`json` or `form`."""

    @property
    def events(self) -> tuple[str, ...]:
        """What it brings."""


class Forge(Protocol):
    """One server through one token; `repo` is `owner/name`. Errors as the tracker's."""

    async def me(self) -> str:
        """Return the login of the token's account."""

    async def product(self) -> Product:
        """Return which forge this is."""

    async def rights(self, repo: str) -> Rights | None:
        """Return what the account may do; None when there is no such repository or it is hidden."""

    async def branch_sha(self, repo: str, branch: str) -> str | None:
        """Return the head of a branch; None when there is none."""

    async def hooks(self, repo: str) -> Sequence[Hook]:
        """Return every webhook of the repository."""

    async def try_hook(self, repo: str, hook_id: int) -> None:
        """Let the forge send its test delivery."""

    async def ensure_hook(self, repo: str, url: str, secret: str) -> bool:
        """Register a webhook unless a sound one is there; True when made."""

    async def replace_hook(self, repo: str, url: str, secret: str) -> None:
        """Register a webhook anew, with this secret."""

    async def close(self) -> None:
        """Close the connections."""


class Outside(Struct, frozen=True, kw_only=True):
    """How to reach both, and which outputs of agents can be read."""

    tracker: Callable[[PlaneSettings], Tracker]
    forge: Callable[[GiteaSettings], Forge]
    formats: Collection[str]
