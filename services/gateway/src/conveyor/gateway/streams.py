"""Makes the streams and enters the list of services once the bus is there: the gateway starts without it as well."""

import asyncio
import contextlib
from importlib.metadata import version

from conveyor.contracts.errors import TransientError
from conveyor.servicekit import logs
from conveyor.servicekit.backoff import delays
from conveyor.servicekit.bus import Bus, provision, register
from conveyor.servicekit.lifecycle import Service

AT_START_S = 0.5
"""How long a start waits for the bus before it goes on without."""
STREAMS_AT_START_S = 5.0
"""How long it then waits for the streams."""


async def attend(service: Service, bus: Bus, replicas: int) -> None:
    """Make the streams once the bus is there: before this returns if it is there by now, else whenever it comes."""
    try:
        await bus.opened(AT_START_S)
        async with asyncio.timeout(STREAMS_AT_START_S):
            await provision(bus, replicas)
    except (TransientError, TimeoutError) as error:
        logs.get("gateway").warning("starting without the bus: deliveries are spooled", reason=str(error))
        service.spawn("streams", make_streams(service, bus, replicas), may_end=True)
    else:
        service.resources.push_async_callback(await register(bus, "gateway", version("conveyor-gateway")))


async def make_streams(service: Service, bus: Bus, replicas: int) -> None:
    """Make the streams as soon as the bus can be talked to."""
    for wait_s in delays(0.1, 2.0, "streams"):
        try:
            await bus.opened(AT_START_S)
            await provision(bus, replicas)
            break
        except TransientError as error:
            logs.get("gateway").debug("no streams yet", reason=str(error))
        if await told_to_stop(service.stopping, wait_s):
            return
    service.resources.push_async_callback(await register(bus, "gateway", version("conveyor-gateway")))


async def told_to_stop(stopping: asyncio.Event, within_s: float) -> bool:
    """Return after a while, or as soon as the service stops: whether it does."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await stopping.wait()
    return stopping.is_set()
