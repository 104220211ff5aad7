"""The one place that reads the time. Services take a `Clock`, so that tests can move it by hand."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What a service may ask of time."""

    def now(self) -> datetime:
        """Return the time of day, aware, in UTC."""

    def monotonic(self) -> float:
        """Return seconds that only grow; good for durations, meaningless across processes."""

    async def sleep(self, seconds: float) -> None:
        """Return when this many seconds have passed."""


class SystemClock:
    """Real time."""

    def now(self) -> datetime:
        """Return the time of day, aware, in UTC."""
        return datetime.now(tz=UTC)  # noqa: TID251 - this file owns the clock

    def monotonic(self) -> float:
        """Return seconds that only grow."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return when this many seconds have passed."""
        await asyncio.sleep(seconds)


SYSTEM_CLOCK = SystemClock()
"""For the few places that need durations only, such as heartbeats, and gain nothing from another clock."""
