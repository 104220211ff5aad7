"""Events that come while others are on their way go together: one atomic batch, one sync of the server's disk.

With `sync_interval: always` a server syncs once a message, or once an atomic batch (ADR-50 of NATS), before it answers.
A single event goes alone and at once, so nobody waits for company.
"""

import asyncio
import itertools
import secrets
from collections import deque
from collections.abc import Sequence

from msgspec import Struct

from conveyor.contracts import codec, subjects
from conveyor.contracts.errors import ConveyorError, PermanentError, TransientError
from conveyor.contracts.events import AnyEvent
from conveyor.servicekit.bus import wire
from conveyor.servicekit.bus.connection import REQUEST_TIMEOUT_S, Bus
from conveyor.servicekit.bus.errors import ApiError
from conveyor.servicekit.bus.events import EventLog
from conveyor.servicekit.bus.wire import Stored
from conveyor.servicekit.clock import SYSTEM_CLOCK

BATCH_ID = "Nats-Batch-Id"
BATCH_SEQUENCE = "Nats-Batch-Sequence"
BATCH_COMMIT = "Nats-Batch-Commit"
MOST_TOGETHER = 100
MOST_BYTES = 1024 * 1024
COMPANY_SHARE, COMPANY_S = 0.25, 0.01
"""Between two batches, of what the last one took and at most: who was just answered comes again and joins."""


class Waiting(Struct, frozen=True):
    """An event that waits for those on their way."""

    event: AnyEvent
    body: bytes
    stored: asyncio.Future[Stored]


class GroupCommit(EventLog):
    """An event log for many publishers at once."""

    def __init__(self, bus: Bus) -> None:
        super().__init__(bus)
        self._waiting: deque[Waiting] = deque()
        self._is_busy = False
        self._sender: asyncio.Task[None] | None = None
        self._name = secrets.token_hex(8)
        self._batches = itertools.count()

    async def publish(self, event: AnyEvent, timeout_s: float = REQUEST_TIMEOUT_S) -> Stored:
        """As that of the event log; alone or together, the answer is about this event."""
        if not self._is_busy:
            self._is_busy = True
            try:
                return await super().publish(event, timeout_s)
            finally:
                self._go_on()
        loop = asyncio.get_running_loop()
        one = Waiting(event, codec.encode(event), loop.create_future())
        self._waiting.append(one)
        timer = loop.call_later(timeout_s, _expire, one, timeout_s)
        try:
            return await one.stored
        finally:
            timer.cancel()

    async def publish_in_order(self, events: Sequence[AnyEvent], timeout_s: float = REQUEST_TIMEOUT_S) -> list[Stored]:
        """Store events in this order and return where each lies, in the same order.

        TransientError: some of the first may be stored, and none behind one that is not. Try again, it is safe.
        """
        unique = list({event.event_id: event for event in events}.values())
        found = await self._in_order(unique, timeout_s)
        places = {event.event_id: stored for event, stored in zip(unique, found, strict=True)}
        answers = []
        for event in events:
            answers.append(places[event.event_id])
            places[event.event_id] = Stored(seq=places[event.event_id].seq, duplicate=True)
        return answers

    async def _in_order(self, events: Sequence[AnyEvent], timeout_s: float) -> list[Stored]:
        """Store all together; where one of them is known already or cannot be stored, each half for itself."""
        if len(events) <= 1:
            return [await super(GroupCommit, self).publish(event, timeout_s) for event in events]
        try:
            last = await self._commit([(event, codec.encode(event)) for event in events], timeout_s)
        except (ApiError, PermanentError):
            half = len(events) // 2
            first = await self._in_order(events[:half], timeout_s)
            return first + await self._in_order(events[half:], timeout_s)
        return [Stored(seq=place, duplicate=False) for place in range(last - len(events) + 1, last + 1)]

    def _go_on(self) -> None:
        """Send those that came in the meantime."""
        if self._waiting:
            self._sender = asyncio.get_running_loop().create_task(self._send(), name="group-commit")
        else:
            self._is_busy = False

    async def _send(self) -> None:
        try:
            while batch := self._taken():
                begun = SYSTEM_CLOCK.monotonic()
                await self._store(batch)
                if len(batch) > 1:
                    took_s = SYSTEM_CLOCK.monotonic() - begun
                    await SYSTEM_CLOCK.sleep(min(took_s * COMPANY_SHARE, COMPANY_S))
        finally:
            self._is_busy = False

    def _taken(self) -> list[Waiting]:
        """Return the next few that still wait; a fact that is among them already waits for the next turn."""
        taken: dict[str, Waiting] = {}
        later, size = [], 0
        while self._waiting and len(taken) < MOST_TOGETHER and size < MOST_BYTES:
            one = self._waiting.popleft()
            if one.stored.done():  # whoever waited gave up
                continue
            if one.event.event_id in taken:
                later.append(one)
                continue
            taken[one.event.event_id] = one
            size += len(one.body)
        self._waiting.extendleft(reversed(later))
        return list(taken.values())

    async def _store(self, batch: Sequence[Waiting]) -> None:
        try:
            content = [(one.event, one.body) for one in batch]
            last = await self._commit(content, REQUEST_TIMEOUT_S) if len(batch) > 1 else None
        except (ApiError, PermanentError):  # one is known or too large, or the server takes no batch: each for itself
            last = None
        except ConveyorError as error:
            _fail(batch, error)
            return
        if last is None:
            await asyncio.gather(*(self._alone(one) for one in batch))
            return
        for place, one in enumerate(batch, last - len(batch) + 1):
            if not one.stored.done():
                one.stored.set_result(Stored(seq=place, duplicate=False))

    async def _commit(self, batch: Sequence[tuple[AnyEvent, bytes]], timeout_s: float) -> int:
        """Store all or none and return where the last one lies."""
        if not self._bus.is_connected:
            raise TransientError("not connected to NATS")
        name = f"{self._name}-{next(self._batches)}"
        for place, (event, body) in enumerate(batch, 1):
            headers = codec.headers(event)
            headers |= {wire.MSG_ID: event.event_id, BATCH_ID: name, BATCH_SEQUENCE: str(place)}
            if place < len(batch):
                await self._bus.send(subjects.event(event), body, headers)
        headers[BATCH_COMMIT] = "1"
        ack = await wire.publish(self._bus, subjects.event(event), body, headers, timeout_s)
        return ack.seq

    async def _alone(self, one: Waiting) -> None:
        try:
            stored = await super().publish(one.event)
        except ConveyorError as error:
            _fail([one], error)
        else:
            if not one.stored.done():
                one.stored.set_result(stored)


def _expire(one: Waiting, timeout_s: float) -> None:
    _fail((one,), TransientError(f"not stored within {timeout_s:g} s; whether it was is unknown"))


def _fail(batch: Sequence[Waiting], error: ConveyorError) -> None:
    for one in batch:
        if not one.stored.done():
            one.stored.set_exception(error)
