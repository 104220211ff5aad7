"""From what a delivery tells to an event of its task, safe on the bus: for fresh and spooled deliveries alike."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from conveyor.contracts.errors import MessageError
from conveyor.contracts.events import AnyEvent
from conveyor.contracts.observed import TrackerState
from conveyor.contracts.streams import DAY_S, EVENTS
from conveyor.gateway.core.admit import admit
from conveyor.gateway.core.drafts import Ignored
from conveyor.gateway.core.registry import Registry, Situation
from conveyor.gateway.core.told import IssueTold, Told
from conveyor.gateway.ports import Events, Source, Tracker
from conveyor.gateway.resolve import Resolver

REMEMBERED = timedelta(seconds=EVENTS.duplicate_window_s - DAY_S)
"""The stream itself surely knows duplicates of this age; for older facts the task's history is asked (GW-4)."""


class Kept(Struct, frozen=True):
    """The event is safe on disk, now or since an earlier delivery of the same fact."""

    event: AnyEvent
    is_duplicate: bool


class Admission(Struct, frozen=True, kw_only=True):
    """Whom it takes to make an event of a delivery. Every question may raise TransientError or PermanentError."""

    registry: Registry
    tracker: Tracker
    events: Events
    resolver: Resolver

    async def event(
        self, source: Source, headers: Mapping[str, str], told: Told, received_at: datetime
    ) -> AnyEvent | Ignored:
        """Return the event of one delivery, or why there is none."""
        situation = Situation(
            received_at=received_at,
            delivery_id=source.delivery_id_of(headers),
            own_id=await source.own_id(),
            states=await self._states(told),
        )
        draft = admit(told, self.registry, situation)
        if isinstance(draft, Ignored):
            return draft
        return draft.event if draft.is_complete else await self.resolver.resolve(draft)

    async def store(self, event: AnyEvent, timeout_s: float) -> Kept:
        """Return once the event is safe; TransientError when nobody says so in time: it may be stored or not."""
        if await self._is_long_known(event):
            return Kept(event, is_duplicate=True)
        stored = await self.events.publish(event, timeout_s)
        return Kept(event, is_duplicate=stored.duplicate)

    async def store_in_order(self, events: Sequence[AnyEvent], timeout_s: float) -> list[Kept]:
        """As store, for several: when it fails, none is stored behind one that is not."""
        known = [event for event in events if await self._is_long_known(event)]
        fresh = [event for event in events if event not in known]
        stored = await self.events.publish_in_order(fresh, timeout_s)
        kept = [Kept(event, is_duplicate=one.duplicate) for event, one in zip(fresh, stored, strict=True)]
        return [*(Kept(event, is_duplicate=True) for event in known), *kept]

    async def _states(self, told: Told) -> tuple[TrackerState, ...]:
        """Return the project's states where the meaning of a move depends on them; cached by the tracker's adapter."""
        if not isinstance(told, IssueTold) or told.field not in {"", "state"}:
            return ()
        project = self.registry.of_tracker(told.issue.tracker_project_id)
        if project is None:
            return ()
        return await self.tracker.states_with(project.tracker_project_id, told.issue.state.state_id)

    async def _is_long_known(self, event: AnyEvent) -> bool:
        """Whether a fact too old for the stream's own memory is in the task's history."""
        if event.received_at - event.at <= REMEMBERED:
            return False
        history = await self.events.history(event.project, event.key)
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
