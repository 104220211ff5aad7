"""Plane's rate limit: so many requests a minute and key, counted over a sliding window."""

from collections import deque

from conveyor.simulator.clock import Clock

WINDOW_S = 60.0
UNLIMITED = 1_000_000


class Limiter:
    """Counts each key's requests; `limit` may be set at any time, None lets everything through."""

    def __init__(self, clock: Clock, limit: int | None) -> None:
        self.limit = limit
        self._clock = clock
        self._history: dict[str, deque[float]] = {}

    def admit(self, api_key: str) -> float | None:
        """None when the request may pass, which counts it; else the seconds until a slot is free, counting nothing."""
        now = self._clock.monotonic_s()
        times = self._history.setdefault(api_key, deque())
        while times and times[0] <= now - WINDOW_S:
            times.popleft()
        if self.limit is not None and len(times) >= self.limit:
            return times[-self.limit] + WINDOW_S - now if self.limit else WINDOW_S
        times.append(now)
        return None

    def success_headers(self, api_key: str) -> dict[str, str]:
        """What an admitted request is told: the reset is always a minute ahead, not when a slot is free."""
        limit = UNLIMITED if self.limit is None else self.limit
        return {
            "X-RateLimit-Remaining": str(max(0, limit - len(self._history[api_key]))),
            "X-RateLimit-Reset": str(int(self._clock.now().timestamp() + WINDOW_S)),
        }
