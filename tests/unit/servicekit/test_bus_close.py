"""The end of a connection that is already broken, in the loop that services run in."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop

from conveyor.servicekit.bus import connect
from conveyor.servicekit.nats_process import NatsProcess
from conveyor.servicekit.sections import NatsSettings


def test_a_service_that_ends_without_the_bus_closes_in_order_whatever_was_still_to_send(
    tmp_path: Path, eventually: Callable[..., Awaitable[Any]]
) -> None:
    """What waits for a connection is dropped: written to the dead one it would end the service with an error."""

    async def life() -> None:
        async with NatsProcess(tmp_path / "nats", sync="default") as server:
            bus = await connect(NatsSettings(url=server.url), name="test")
            subscription = await bus.subscribe("somewhere", _deaf)
            await server.kill()
            await eventually(lambda: not bus.is_connected)
            await bus.send("somewhere", b"unsent")
            await bus.unsubscribe(subscription)
            await bus.close()

    uvloop.run(life())


async def _deaf(_message: object) -> None:
    """Nothing is read."""
