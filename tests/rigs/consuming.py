"""The consume loop run beside a test, and how far it has come."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from conveyor.servicekit.bus import Bus, ConsumerSpec, consume

SPEC = ConsumerSpec(stream="EVENTS", durable="decide", subjects=("event.>",), ack_wait_s=2)


@contextlib.asynccontextmanager
async def consuming(bus: Bus, handler: Any, spec: ConsumerSpec = SPEC, **options: Any) -> AsyncIterator[asyncio.Event]:
    stopping = asyncio.Event()
    task = asyncio.create_task(consume(bus, spec, handler, stopping=stopping, **options))
    try:
        yield stopping
    finally:
        stopping.set()
        async with asyncio.timeout(15):
            await task


async def state(bus: Bus, spec: ConsumerSpec = SPEC) -> tuple[int, int]:
    """How many messages are unacknowledged, and how many have not been delivered."""
    info = msgspec.json.decode(await bus.api(f"CONSUMER.INFO.{spec.stream}.{spec.durable}"))
    return info["num_ack_pending"], info["num_pending"]


async def is_settled(bus: Bus, spec: ConsumerSpec = SPEC) -> bool:
    return await state(bus, spec) == (0, 0)
