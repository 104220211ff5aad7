import asyncio
from itertools import islice
from typing import Any

import pytest

from conveyor.contracts.errors import PermanentError, TransientError
from conveyor.servicekit.backoff import JITTER, delay_after, delays, retry


def test_delays_double_up_to_the_cap_and_vary_by_seed() -> None:
    waits = list(islice(delays(1, 10, "a"), 8))
    for nominal, wait in zip((1, 2, 4, 8, 10, 10, 10, 10), waits, strict=True):
        assert nominal * (1 - JITTER) <= wait <= min(nominal * (1 + JITTER), 10)
    assert waits == list(islice(delays(1, 10, "a"), 8))
    assert waits != list(islice(delays(1, 10, "b"), 8))


def test_delay_after_many_failures_stays_at_the_cap() -> None:
    assert 45 <= delay_after(10_000, 1, 60, "x") <= 60


async def test_retry_waits_between_tries_as_long_as_asked(clock: Any) -> None:
    tries: list[float] = []

    async def call() -> str:
        tries.append(clock.monotonic())
        if len(tries) < 3:
            raise TransientError("not yet", retry_after_s=30 if len(tries) == 1 else None)
        return "done"

    task = asyncio.create_task(retry(call, delays(1, 10, "a"), attempts=3, clock=clock))
    for _ in range(5):
        await clock.advance(10)
    assert await task == "done"
    assert tries[1] == 30
    assert tries[2] - tries[1] <= 2.5


async def test_retry_gives_up_with_the_last_error_and_never_repeats_a_permanent_one(clock: Any) -> None:
    calls: list[int] = []

    async def transient() -> None:
        calls.append(1)
        raise TransientError("again", retry_after_s=0)

    async def permanent() -> None:
        calls.append(2)
        raise PermanentError("no")

    with pytest.raises(TransientError):
        await retry(transient, iter([0.0, 0.0]), attempts=2, clock=clock)
    with pytest.raises(PermanentError):
        await retry(permanent, iter([0.0]), attempts=5, clock=clock)
    assert calls == [1, 1, 2]
