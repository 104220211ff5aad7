"""Ending what runs beside: one cancellation is not enough, since the NATS library swallows some on its way."""

import asyncio
from typing import Any

AGAIN_S = 1.0


async def cancel_until_ended(*tasks: "asyncio.Future[Any]", again_s: float = AGAIN_S) -> None:
    """Cancel these, and again after every `again_s`, until all have ended; what they raised stays with them.

    Whatever needs longer to clean up wants a longer `again_s`.
    """
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=again_s)
