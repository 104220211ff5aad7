"""Keeps all calls made with one Plane API key under its rate limit and silent while Plane asked for silence."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from weakref import WeakValueDictionary

from conveyor.contracts.errors import TransientError

PER_MINUTE = 60
"""Plane's default for one API key (API_KEY_RATE_LIMIT), a sliding window."""
_WINDOW_S = 60.0


class RateLimiter:
    """A sliding window shared by whoever uses the same key in this process."""

    def __init__(
        self,
        per_minute: int = PER_MINUTE,
        *,
        max_wait_s: float = 20.0,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._per_minute = per_minute
        self._max_wait_s = max_wait_s
        self._monotonic = monotonic
        self._sleep = sleep
        self._taken: deque[float] = deque()
        self._silent_until = float("-inf")

    async def take(self, doing: str) -> None:
        """Return when one call may be made.

        Waits at most `max_wait_s`; a longer wait is a TransientError that names it, so that the caller can put the
        work back instead of holding it.
        """
        patience_s = self._max_wait_s
        while (wait_s := self._wait_s()) > 0:
            if wait_s > patience_s:
                raise TransientError(f"{doing}: the tracker's rate limit is used up", retry_after_s=wait_s)
            patience_s -= wait_s
            await self._sleep(wait_s)
        self._taken.append(self._monotonic())

    def learn(self, remaining: int) -> None:
        """Take in how many calls Plane still allows: a server may allow more than its default, never believe less.

        Others may use the same key, so what is left proves a higher limit only; a lower one shows itself by a 429.
        """
        self._per_minute = max(self._per_minute, remaining + 1)

    def hold(self, seconds: float) -> None:
        """Make no call for so many seconds, as a 429 asked."""
        self._silent_until = max(self._silent_until, self._monotonic() + seconds)

    def _wait_s(self) -> float:
        now = self._monotonic()
        while self._taken and self._taken[0] <= now - _WINDOW_S:
            self._taken.popleft()
        full_s = self._taken[0] + _WINDOW_S - now if len(self._taken) >= self._per_minute else 0.0
        return max(full_s, self._silent_until - now, 0.0)


_SHARED: WeakValueDictionary[tuple[str, str], RateLimiter] = WeakValueDictionary()


def shared_limiter(url: str, api_key: str) -> RateLimiter:
    """Return the one limiter of this process for a server and key; services that run together share it."""
    limiter = _SHARED.get((url, api_key))
    if limiter is None:
        limiter = _SHARED[url, api_key] = RateLimiter()
    return limiter
