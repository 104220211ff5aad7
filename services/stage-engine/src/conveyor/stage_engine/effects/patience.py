"""Waiting inside an effect: it ends at once when the engine stops, so that whoever takes over carries on."""

import asyncio

from conveyor.contracts.errors import TransientError
from conveyor.servicekit.clock import Clock


async def pause(clock: Clock, stopping: asyncio.Event, seconds: float) -> None:
    """Sleep for this long; TransientError, to be delivered again at once, when the engine stops meanwhile."""
    sleeping, stop = asyncio.ensure_future(clock.sleep(seconds)), asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({sleeping, stop}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in (sleeping, stop):
            one.cancel()
    if stopping.is_set():
        raise TransientError("this engine stops; the next one carries on", retry_after_s=0)
