"""Polling's place in the queue for the tracker's rate limit: it waits where an effect would be put back, and counts."""

from typing import Protocol

from conveyor.contracts.errors import TransientError
from conveyor.servicekit.clock import Clock

LONGEST_S = 300.0
"""How long one call may wait in all; then its project is looked at in the next pass."""


class Limiter(Protocol):
    """Who says when a call may be made."""

    async def take(self, doing: str) -> None:
        """Return when it may; TransientError with the seconds to wait when that is far off."""

    def learn(self, remaining: int) -> None:
        """Take in how many calls are still allowed."""

    def hold(self, seconds: float) -> None:
        """Make no call for so many seconds."""


class PatientLimiter:
    """A limiter that waits as long as it takes: a pass over many projects takes longer than a minute allows (RC-9)."""

    def __init__(self, limiter: Limiter, clock: Clock) -> None:
        self._limiter = limiter
        self._clock = clock
        self.calls = 0
        """How many calls it let through."""

    async def take(self, doing: str) -> None:
        """Return when one call may be made; TransientError when that takes longer than LONGEST_S."""
        left_s = LONGEST_S
        while True:
            try:
                await self._limiter.take(doing)
            except TransientError as error:
                wait_s = error.retry_after_s or 0.0
                if wait_s <= 0 or wait_s > left_s:
                    raise
                left_s -= wait_s
                await self._clock.sleep(wait_s)
            else:
                self.calls += 1
                return

    def learn(self, remaining: int) -> None:
        """Take in how many calls are still allowed."""
        self._limiter.learn(remaining)

    def hold(self, seconds: float) -> None:
        """Make no call for so many seconds, as a 429 asked."""
        self._limiter.hold(seconds)
