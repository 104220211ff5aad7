"""Keeps all calls made with one Plane API key under its rate limit and silent while Plane asked for silence."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol
from weakref import WeakValueDictionary

from conveyor.contracts.errors import TransientError

PER_MINUTE = 60
"""Plane's default for one API key (API_KEY_RATE_LIMIT), a sliding window."""
_WINDOW_S = 60.0


class Limiter(Protocol):
    """Who is asked before each call and told of what Plane says about the rate."""

    async def take(self, doing: str) -> None:
        """Return when one call may be made; a TransientError when that is too far off."""

    def learn(self, remaining: int) -> None:
        """Take in how many calls Plane still allows."""

    def hold(self, seconds: float) -> None:
        """Make no call for so many seconds."""


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

    async def take(self, doing: str, leaving: "Share | None" = None) -> None:
        """Return when one call may be made.

        Waits at most `max_wait_s`; a longer wait is a TransientError that names it, so that the caller can put the
        work back instead of holding it.
        """
        patience_s = self._max_wait_s
        while (wait_s := self._wait_s(leaving)) > 0:
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

    def now(self) -> float:
        """Return the seconds on this limiter's watch."""
        return self._monotonic()

    def leaving(self, calls: int) -> "Share":
        """Return a limiter on the same key that leaves so many calls a minute to the key's other users."""
        return Share(self, calls)

    def slots_s(self, calls: int) -> float:
        """Return in how many seconds so many calls come free when they are spread evenly over the window."""
        return min(_WINDOW_S, calls * _WINDOW_S / self._per_minute)

    def _wait_s(self, leaving: "Share | None" = None) -> float:
        now = self._monotonic()
        while self._taken and self._taken[0] <= now - _WINDOW_S:
            self._taken.popleft()
        limit = max(1, self._per_minute - (leaving.calls if leaving else 0))
        full_s = self._taken[-limit] + _WINDOW_S - now if len(self._taken) >= limit else 0.0
        silent_until = max(self._silent_until, leaving.silent_until if leaving else float("-inf"))
        return max(full_s, silent_until - now, 0.0)


class Share:
    """A limiter that yields: polling asks through it, so that what people wait for is not behind it.

    The key's other users may be other processes: Plane's own word of what is left tells of them.
    """

    def __init__(self, limiter: RateLimiter, calls: int) -> None:
        self.calls = calls
        self.silent_until = float("-inf")
        self._limiter = limiter

    async def take(self, doing: str) -> None:
        """Return when one call may be made and the others' share is untouched."""
        await self._limiter.take(doing, self)

    def learn(self, remaining: int) -> None:
        """Take in how many calls Plane still allows; below the others' share, be silent until it has come free."""
        self._limiter.learn(remaining)
        if remaining < self.calls:
            self.silent_until = self._limiter.now() + self._limiter.slots_s(self.calls - remaining)

    def hold(self, seconds: float) -> None:
        """Make no call for so many seconds, nor lets any other user of the key."""
        self._limiter.hold(seconds)


_SHARED: WeakValueDictionary[tuple[str, str], RateLimiter] = WeakValueDictionary()


def shared_limiter(url: str, api_key: str) -> RateLimiter:
    """Return the one limiter of this process for a server and key; services that run together share it."""
    name = (url.rstrip("/"), api_key)
    limiter = _SHARED.get(name)
    if limiter is None:
        limiter = _SHARED[name] = RateLimiter()
    return limiter
