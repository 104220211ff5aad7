"""The gateway's shell: one verified delivery in, one answer out, within a second, and no promise it cannot keep."""

import asyncio
from collections.abc import Mapping

from msgspec import Struct

from conveyor.contracts.errors import ConveyorError, MessageError
from conveyor.gateway.admission import Kept
from conveyor.gateway.core.admit import at_sight
from conveyor.gateway.core.drafts import Ignored
from conveyor.gateway.ports import Source
from conveyor.gateway.spool.queue import SpoolError
from conveyor.gateway.spool.record import Delivery
from conveyor.gateway.ways import Ways
from conveyor.servicekit.clock import Clock

BUS_SHARE = 0.6
"""Of the time for an answer: what the bus may take, and finding out whose delivery it is."""


class Spooled(Struct, frozen=True):
    """The delivery is safe in the gateway's own spool and will be told later; why it was not told at once."""

    reason: str


class Malformed(Struct, frozen=True):
    """The body is not what this source sends."""

    reason: str


class Unavailable(Struct, frozen=True):
    """Nothing was kept: nobody may believe that it was."""

    reason: str


Answer = Kept | Spooled | Ignored | Malformed | Unavailable


class Intake:
    """Takes verified deliveries in.

    While anything of a source waits in its spool, all that comes from it afterwards waits behind, so that what was
    answered earlier is told earlier.
    """

    def __init__(self, ways: Ways, answer_within_s: float, clock: Clock) -> None:
        self._ways = ways
        self._bus_s = answer_within_s * BUS_SHARE
        self._spool_s = answer_within_s - self._bus_s
        self._clock = clock

    async def take(self, source: Source, headers: Mapping[str, str], body: bytes) -> Answer:
        """Return what became of one delivery whose signature was found good, whatever its body holds."""
        try:
            told = source.read(headers, body)
        except MessageError as error:
            return Malformed(str(error))
        received_at = self._clock.now()
        if waiting := self._ways.spools[source.name].depth:
            why = f"{waiting} deliveries wait already"
        elif not self._ways.is_bus_there():
            why = "the bus is away"
        else:
            try:
                async with asyncio.timeout(self._bus_s):
                    event = await self._ways.admission.event(source, headers, told, received_at)
                    return event if isinstance(event, Ignored) else await self._ways.admission.store(event, self._bus_s)
            except TimeoutError:
                why = f"not told within {self._bus_s:g} s"
            except ConveyorError as error:
                why = str(error)
        if ignored := at_sight(told, self._ways.admission.registry, received_at):
            return ignored
        kept = {name: headers[name] for name in source.kept_headers if name in headers}
        return await self._spool(Delivery(source=source.name, headers=kept, body=body, received_at=received_at), why)

    async def _spool(self, delivery: Delivery, why: str) -> Spooled | Unavailable:
        try:
            async with asyncio.timeout(self._spool_s):
                await self._ways.spools[delivery.source].append(delivery)
        except TimeoutError:
            return Unavailable(f"the spool took longer than {self._spool_s:g} s; {why}")
        except SpoolError as error:
            return Unavailable(f"{error}; {why}")
        return Spooled(why)
