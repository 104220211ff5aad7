"""Remembers an answer of the tracker for a while, so that looking a status up costs no call each time (SE-14)."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from conveyor.contracts.errors import ConveyorError

T = TypeVar("T")
TTL_S = 300.0
RETRY_S = 30.0
"""After a refresh that failed the old value serves so long before the next try."""


class Cache(Generic[T]):
    """One value a name. `serves_stale`: whether the last good value outlives a refresh that fails."""

    def __init__(
        self, *, serves_stale: bool, ttl_s: float = TTL_S, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._serves_stale = serves_stale
        self._ttl_s = ttl_s
        self._monotonic = monotonic
        self._values: dict[str, tuple[float, T]] = {}
        self._loading: dict[str, asyncio.Future[T]] = {}

    async def get(self, name: str, load: Callable[[], Awaitable[T]]) -> T:
        """Return the value, loaded when there is none or it is too old; the load's ConveyorError when none serves.

        Many who ask at once share one load, which goes on when some of them give up waiting: each of them for itself
        would use up the rate limit in a moment.
        """
        known = self._values.get(name)
        if known and self._monotonic() < known[0]:
            return known[1]
        loading = self._loading.get(name)
        if loading is None:
            loading = self._loading[name] = asyncio.ensure_future(self._load(name, load))
            loading.add_done_callback(lambda done: self._loaded(name, done))
        return await asyncio.shield(loading)

    def doubt(self, name: str) -> None:
        """Load anew at the next look, unless that was done just now; should it fail, the old value still serves."""
        known = self._values.get(name)
        if known and known[0] - self._monotonic() < self._ttl_s - RETRY_S:
            self._values[name] = (self._monotonic(), known[1])

    async def _load(self, name: str, load: Callable[[], Awaitable[T]]) -> T:
        known = self._values.get(name)
        try:
            value = await load()
        except ConveyorError:
            if known is None or not self._serves_stale:
                raise
            self._values[name] = (self._monotonic() + RETRY_S, known[1])
            return known[1]
        self._values[name] = (self._monotonic() + self._ttl_s, value)
        return value

    def _loaded(self, name: str, done: asyncio.Future[T]) -> None:
        del self._loading[name]
        if not done.cancelled():
            done.exception()  # whoever wanted to know may be gone
