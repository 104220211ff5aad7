"""Tells the bus what waits in a spool, oldest first, as soon as there is somebody to tell (GW-3)."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from conveyor.contracts.errors import ConveyorError, MessageError, PermanentError, TransientError
from conveyor.contracts.events import AnyEvent
from conveyor.gateway.core.drafts import Ignored
from conveyor.gateway.figures import Figures
from conveyor.gateway.ports import Source
from conveyor.gateway.spool.record import Delivery
from conveyor.gateway.ways import Ways
from conveyor.servicekit import logs
from conveyor.servicekit.backoff import delays
from conveyor.servicekit.clock import Clock

BATCH = 64
PUBLISH_TIMEOUT_S = 5.0
FIRST_WAIT_S = 0.05
LONGEST_WAIT_S = 1.0
PATIENCE = timedelta(minutes=10)
"""A refusal that repeating cannot cure is believed after this long: until then somebody may mend a key."""


class Refusals:
    """Which refusals are believed: old ones, and those known already where waiting would stall what is not refused.

    One ill-configured project so stalls the others but once, and a key that is wrong for all of them is waited for.
    """

    def __init__(self) -> None:
        self._heard: dict[str, tuple[datetime, datetime]] = {}
        """First and last time of each, by its words."""
        self._passed_at: datetime | None = None

    def passed(self, now: datetime) -> None:
        """Note that something was not refused."""
        self._passed_at = now

    def is_believed(self, words: str, since: datetime, now: datetime) -> bool:
        """Whether this was refused long enough; `since` is when the delivery that it refuses was received."""
        self._heard = {known: times for known, times in self._heard.items() if now - times[1] < PATIENCE}
        first, _ = self._heard.get(words, (since, now))
        self._heard[words] = (first, now)
        stalls_others = self._passed_at is not None and self._passed_at > first
        return now - (first if stalls_others else since) >= PATIENCE


class Batch(Struct, frozen=True):
    """What became of the first deliveries of a spool; behind them stands `trouble`, if there is any."""

    settled: int
    events: tuple[AnyEvent, ...]
    trouble: ConveyorError | None = None


class Drain:
    """Empties the spool of one source. Told twice is told once: every event is published under its fact's name."""

    def __init__(self, source: Source, ways: Ways, figures: Figures, clock: Clock) -> None:
        self._source = source
        self._spool = ways.spools[source.name]
        self._admission = ways.admission
        self._is_bus_there = ways.is_bus_there
        self._figures = figures
        self._clock = clock
        self._refusals = Refusals()
        self._log = logs.get("drain")

    async def run(self, stopping: asyncio.Event) -> None:
        """Empty the spool whenever something waits in it, until the service stops."""
        failures = 0
        waits = delays(FIRST_WAIT_S, LONGEST_WAIT_S, self._source.name)
        while not await _first_of(stopping, self._spool.filled):
            try:
                await self._some()
            except ConveyorError as error:
                failures += 1
                if failures == 1:
                    self._log.warning("waiting", source=self._source.name, reason=str(error), depth=self._spool.depth)
                await _first_of(stopping, timeout_s=max(next(waits), getattr(error, "retry_after_s", None) or 0))
                continue
            if failures or self._spool.depth == 0:
                self._log.info("draining", source=self._source.name, left=self._spool.depth)
            failures, waits = 0, delays(FIRST_WAIT_S, LONGEST_WAIT_S, self._source.name)

    async def _some(self) -> None:
        """Tell the next few; TransientError when the first that is left cannot be told now."""
        if not self._is_bus_there():
            raise TransientError("the bus is away")
        batch = await self._admitted(await self._spool.first(BATCH))
        try:
            await self._store(batch.events)
        except PermanentError:  # one of them can never be stored: it must not keep the others from it
            for event in batch.events:
                await self._store_or_drop(event)
        await self._spool.told(batch.settled)
        if batch.trouble is not None:
            raise batch.trouble

    async def _store(self, events: Sequence[AnyEvent]) -> None:
        for kept in await self._admission.store_in_order(events, PUBLISH_TIMEOUT_S):
            self._figures.drained(self._source.name, "duplicate" if kept.is_duplicate else "stored")

    async def _store_or_drop(self, event: AnyEvent) -> None:
        try:
            await self._store([event])
        except PermanentError as error:
            self._dropped("refused", str(error))

    async def _admitted(self, deliveries: Sequence[Delivery | MessageError]) -> Batch:
        events: list[AnyEvent] = []
        for settled, delivery in enumerate(deliveries):
            if isinstance(delivery, MessageError):
                self._figures.drained(self._source.name, "damaged")
                continue
            try:
                event = await self._event(delivery)
            except TransientError as error:
                return Batch(settled, tuple(events), error)
            if event is not None:
                events.append(event)
        return Batch(len(deliveries), tuple(events))

    async def _event(self, delivery: Delivery) -> AnyEvent | None:
        """Return the event of one delivery; None, and a count, when it becomes none."""
        source = self._source
        try:
            told = source.read(delivery.headers, delivery.body)
            found = await self._admission.event(source, delivery.headers, told, delivery.received_at)
        except MessageError as error:
            self._dropped("malformed", str(error))
            return None
        except PermanentError as error:
            if not self._refusals.is_believed(str(error), delivery.received_at, self._clock.now()):
                raise TransientError(str(error)) from error
            self._dropped("refused", str(error))
            return None
        self._refusals.passed(self._clock.now())
        if isinstance(found, Ignored):
            self._log.info("ignored", source=source.name, kind=str(found.kind), reason=found.reason)
            self._figures.drained(source.name, "ignored")
            return None
        return found

    def _dropped(self, outcome: str, reason: str) -> None:
        """The reconciler finds out what was told here, but it takes its time."""
        self._log.error("dropped", source=self._source.name, outcome=outcome, reason=reason)
        self._figures.drained(self._source.name, outcome)


async def _first_of(stopping: asyncio.Event, *others: asyncio.Event, timeout_s: float | None = None) -> bool:
    """Return once one of the events is set or the time is over: whether it is `stopping`."""
    waiting = [asyncio.ensure_future(event.wait()) for event in (stopping, *others)]
    await asyncio.wait(waiting, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    for one in waiting:
        one.cancel()
    return stopping.is_set()
