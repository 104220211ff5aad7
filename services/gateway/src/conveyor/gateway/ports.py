"""What the gateway needs from outside, as it needs it; `app` says who does it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from conveyor.contracts.errors import MessageError
from conveyor.contracts.events import AnyEvent
from conveyor.contracts.observed import TrackerIssue, TrackerState
from conveyor.contracts.transition import TaskRecord
from conveyor.gateway.core.told import Told


class Source(Struct, frozen=True, kw_only=True):
    """One sender of webhooks: how to know that it is really the sender, and how to read it."""

    name: str
    secrets: tuple[str, ...]
    """All are valid at once; none: the route is closed (GW-1)."""
    signature_header: str
    """The header that carries the signature, for the document of our API."""
    signature_of: Callable[[Mapping[str, str]], str]
    """The signature a delivery claims; empty when it has none."""
    verify: Callable[[bytes, str, Sequence[str]], bool]
    """Whether one of the secrets signed the raw body."""
    read: Callable[[Mapping[str, str], bytes], Told]
    """What the delivery tells; MessageError names the path of the first wrong field."""
    kept_headers: tuple[str, ...]
    """Which headers `read` and `delivery_id_of` want, in lower case: a spooled delivery keeps them."""
    delivery_id_of: Callable[[Mapping[str, str]], str]
    own_id: Callable[[], Awaitable[str]]
    """Our own account there; ConveyorError while it cannot be found out."""


class Tracker(Protocol):
    """The tracker, asked only for what deliveries leave out. TransientError while it cannot be asked."""

    async def states_with(self, project_id: str, state_id: str) -> tuple[TrackerState, ...]:
        """Return the states of a tracker project, from a cache that is not older than this state."""

    async def issue(self, project_id: str, issue_id: str) -> TrackerIssue | None:
        """Return one issue; None when it is gone."""


class Forge(Protocol):
    """The forge, asked whose commit a status speaks of. TransientError while it cannot be asked."""

    async def branches_at(self, repo: str, sha: str) -> tuple[str, ...]:
        """Return the branches that stand at a commit now."""


class Stored(Protocol):
    """The bus's word that an event is safe on disk."""

    @property
    def seq(self) -> int:
        """Its place in the stream."""

    @property
    def duplicate(self) -> bool:
        """Whether it was there already."""


class Events(Protocol):
    """The log of events."""

    async def publish(self, event: AnyEvent, timeout_s: float) -> Stored:
        """Return once the event is safe; TransientError when nobody says so in time."""

    async def publish_in_order(self, events: Sequence[AnyEvent], timeout_s: float) -> Sequence[Stored]:
        """As publish, for several: none is stored behind one that is not."""

    async def history(self, project: str, key: str) -> Sequence[tuple[int, datetime, AnyEvent | MessageError]]:
        """Return every stored event of one task; one that cannot be read is the error that says why."""


class StoredTask(Protocol):
    """The latest revision of one task."""

    @property
    def record(self) -> TaskRecord:
        """The revision."""


class Tasks(Protocol):
    """The tasks as they are now."""

    async def all(self, project: str | None = None) -> Sequence[StoredTask]:
        """Return the latest revision of every task of a project."""


class Entry(Protocol):
    """What a bucket holds under one key."""

    @property
    def value(self) -> bytes:
        """The bytes."""


class Lookup(Protocol):
    """The bucket that leads from issue ids and commits to tasks."""

    async def get(self, key: str) -> Entry | None:
        """Return what stands under a key."""
