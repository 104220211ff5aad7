"""How long to wait before trying again: exponential, capped, with jitter, so that many do not return at once."""

import random
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from conveyor.contracts.errors import TransientError
from conveyor.servicekit.clock import SYSTEM_CLOCK, Clock

T = TypeVar("T")
JITTER = 0.25
"""The share by which a delay may be shorter or longer than its nominal value."""


def delays(first_s: float, cap_s: float, seed: int | str) -> Iterator[float]:
    """Yield waits in seconds for ever: first_s, twice that, … at most cap_s, each varied by the seed."""
    chance = random.Random(seed)  # noqa: S311 - spreads load, protects nothing
    nominal = first_s
    while True:
        yield min(nominal * chance.uniform(1 - JITTER, 1 + JITTER), cap_s)
        nominal = min(nominal * 2, cap_s)


def delay_after(failures: int, first_s: float, cap_s: float, seed: int | str) -> float:
    """Return the wait in seconds after this many failures (from 1) without counting up to it."""
    chance = random.Random(f"{seed}/{failures}")  # noqa: S311 - spreads load, protects nothing
    nominal = min(first_s * 2.0 ** min(failures - 1, 30), cap_s)
    return min(nominal * chance.uniform(1 - JITTER, 1 + JITTER), cap_s)


async def retry(
    call: Callable[[], Awaitable[T]], waits: Iterator[float], *, attempts: int, clock: Clock = SYSTEM_CLOCK
) -> T:
    """Return what `call` returns, trying again after a TransientError; the last attempt's error is raised.

    A wait that the other side asked for counts when it is longer than ours.
    """
    for attempt in range(1, attempts + 1):
        try:
            return await call()
        except TransientError as error:
            if attempt == attempts:
                raise
            await clock.sleep(max(next(waits), error.retry_after_s or 0.0))
    raise ValueError(f"expected at least one attempt, got {attempts}")
