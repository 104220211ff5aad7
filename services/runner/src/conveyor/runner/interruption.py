"""Work that is given up when an event comes before its end: a cancel of a run, the stop of the runner."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from conveyor.servicekit.ending import cancel_until_ended

CLEAN_UP_S = 10.0
"""Work that was cancelled may end a child process first; only then it is taken for not having heard."""
T = TypeVar("T")


async def unless(event: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Return what the work comes to; None when the event comes first: the work is then cancelled, and has ended."""
    if event.is_set():
        work.close()
        return None
    working = asyncio.create_task(work)
    called = asyncio.create_task(event.wait())
    try:
        await asyncio.wait({working, called}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        await cancel_until_ended(working, called, again_s=CLEAN_UP_S)
