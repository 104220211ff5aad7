"""What is remembered of the tracker: asked for once, however many want to know."""

import asyncio
from typing import Any

import pytest

from conveyor.adapters.plane.cache import Cache
from conveyor.contracts.errors import TransientError


class Source:
    """Something slow to ask, that counts how often it was."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.error: TransientError | None = None

    async def __call__(self) -> int:
        self.asked += 1
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return self.asked


@pytest.mark.behaviour("SE-14")
async def test_many_who_ask_at_once_share_one_call() -> None:
    """A burst of webhooks after five quiet minutes must not use up the tracker's rate limit."""
    cache, source = Cache[int](serves_stale=True), Source()
    asking = [asyncio.create_task(cache.get("states", source)) for _ in range(50)]
    await asyncio.sleep(0)
    source.may_answer.set()
    assert await asyncio.gather(*asking) == [1] * 50
    assert source.asked == 1


async def test_who_gives_up_waiting_stops_nobody_elses_call() -> None:
    """A webhook waits half a second; a tracker that takes longer to answer must not be asked again by each."""
    cache, source = Cache[int](serves_stale=True), Source()
    first = asyncio.create_task(cache.get("states", source))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait({first})
    second = asyncio.create_task(cache.get("states", source))
    source.may_answer.set()
    assert await second == await cache.get("states", source) == 1


async def test_a_failure_is_that_of_all_who_waited_and_of_nobody_after() -> None:
    cache, source = Cache[int](serves_stale=False), Source()
    source.error = TransientError("away")
    asking = [asyncio.create_task(cache.get("members", source)) for _ in range(20)]
    source.may_answer.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert {str(answer) for answer in answers} == {"away"}
    assert source.asked == 1
    source.error = None
    assert await cache.get("members", source) == 2


@pytest.mark.behaviour("SE-14")
async def test_a_refresh_that_fails_is_one_call_for_all_and_serves_what_was_known(stopwatch: Any) -> None:
    cache, source = Cache[int](serves_stale=True, monotonic=stopwatch), Source()
    source.may_answer.set()
    assert await cache.get("states", source) == 1
    stopwatch.seconds += 301
    source.error = TransientError("away")
    assert await asyncio.gather(*(cache.get("states", source) for _ in range(50))) == [1] * 50
    assert source.asked == 2


async def test_names_do_not_wait_for_each_other() -> None:
    cache, slow, quick = Cache[int](serves_stale=True), Source(), Source()
    quick.may_answer.set()
    waiting = asyncio.create_task(cache.get("slow", slow))
    await asyncio.sleep(0)
    assert await cache.get("quick", quick) == 1
    slow.may_answer.set()
    await waiting
