"""The gateway's shell: one verified delivery in, one answer out. It reads, asks the core, resolves, publishes."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from msgspec import Struct

from conveyor.contracts.errors import ConveyorError, MessageError
from conveyor.contracts.events import AnyEvent
from conveyor.contracts.observed import TrackerState
from conveyor.contracts.streams import DAY_S, EVENTS
from conveyor.gateway.core.admit import admit
from conveyor.gateway.core.drafts import Ignored
from conveyor.gateway.core.registry import Registry, Situation
from conveyor.gateway.core.told import IssueTold, Told
from conveyor.gateway.ports import Events, Source, Tracker
from conveyor.gateway.resolve import Resolver
from conveyor.gateway.settings import GatewaySettings
from conveyor.servicekit import logs
from conveyor.servicekit.clock import Clock

REMEMBERED = timedelta(seconds=EVENTS.duplicate_window_s - DAY_S)
"""The stream itself surely knows duplicates of this age; for older facts the task's history is asked (GW-4)."""


class Kept(Struct, frozen=True):
    """The event is safe on disk, now or since an earlier delivery of the same fact."""

    event: AnyEvent
    is_duplicate: bool


class Malformed(Struct, frozen=True):
    """The body is not what this source sends."""

    reason: str


class Unavailable(Struct, frozen=True):
    """Nothing was kept: nobody may believe that it was."""

    reason: str


Answer = Kept | Ignored | Malformed | Unavailable


class World(Struct, frozen=True, kw_only=True):
    """Whom the intake asks."""

    registry: Registry
    tracker: Tracker
    events: Events
    resolver: Resolver
    clock: Clock


class Intake:
    """Takes verified deliveries in."""

    def __init__(self, world: World, settings: GatewaySettings) -> None:
        self._world = world
        self._settings = settings
        self._log = logs.get("intake")

    async def take(self, source: Source, headers: Mapping[str, str], body: bytes) -> Answer:
        """Return what became of one delivery whose signature was found good, whatever its body holds."""
        try:
            told = source.read(headers, body)
        except MessageError as error:
            return Malformed(str(error))
        try:
            async with asyncio.timeout(self._settings.resolve_timeout_s):
                event = await self._event(source, headers, told)
                if isinstance(event, Ignored):
                    return event
                if await self._is_long_known(event):
                    return Kept(event, is_duplicate=True)
            return await self._store(event)
        except TimeoutError:
            return Unavailable(f"no answer within {self._settings.resolve_timeout_s:g} s about whose delivery this is")
        except ConveyorError as error:
            return Unavailable(str(error))

    async def _event(self, source: Source, headers: Mapping[str, str], told: Told) -> AnyEvent | Ignored:
        situation = Situation(
            received_at=self._world.clock.now(),
            delivery_id=source.delivery_id_of(headers),
            own_id=await source.own_id(),
            states=await self._states(told),
        )
        draft = admit(told, self._world.registry, situation)
        if isinstance(draft, Ignored):
            return draft
        return draft.event if draft.is_complete else await self._world.resolver.resolve(draft)

    async def _states(self, told: Told) -> tuple[TrackerState, ...]:
        """Return the project's states where the meaning of a move depends on them; cached by the tracker's adapter."""
        if not isinstance(told, IssueTold) or told.field not in {"", "state"}:
            return ()
        project = self._world.registry.of_tracker(told.issue.tracker_project_id)
        return await self._world.tracker.states(project.tracker_project_id) if project else ()

    async def _store(self, event: AnyEvent) -> Kept:
        stored = await self._world.events.publish(event, self._settings.publish_timeout_s)
        with logs.bind(task=f"{event.project}/{event.key}", trace_id=event.trace_id):
            kind = type(event).__name__
            self._log.info("duplicate" if stored.duplicate else "stored", kind=kind, seq=stored.seq)
        return Kept(event, is_duplicate=stored.duplicate)

    async def _is_long_known(self, event: AnyEvent) -> bool:
        """Whether a fact too old for the stream's own memory is in the task's history."""
        if event.received_at - event.at <= REMEMBERED:
            return False
        history = await self._world.events.history(event.project, event.key)
        return any(not isinstance(old, MessageError) and old.event_id == event.event_id for _, _, old in history)


class OwnAccount:
    """Our own account at a source: configured, or asked for once and remembered."""

    def __init__(self, configured: str, ask: Callable[[], Awaitable[str]]) -> None:
        self._known = configured
        self._ask = ask

    async def __call__(self) -> str:
        """Return the account; ConveyorError while it cannot be found out: without it a loop could start (GW-5)."""
        if not self._known:
            self._known = await self._ask()
        return self._known
