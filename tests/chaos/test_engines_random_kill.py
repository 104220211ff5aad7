"""Two engines at once, one or the other killed, or paused, again and again while twenty tasks are under way."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from conveyor.contracts.task import Waiting
from conveyor.servicekit.bus import Bus
from conveyor.servicekit.nats_process import NatsProcess
from tests.rigs import stand_in_runner
from tests.rigs.chaos import PIPELINE, SOON, watching
from tests.rigs.engine_process import EngineProcess
from tests.rigs.house import REPO, House, open_house
from tests.rigs.story import story_of

Eventually = Callable[..., Awaitable[Any]]
Engines = tuple[EngineProcess, EngineProcess]
Disturb = Callable[[Engines], Awaitable[None]]
TASKS = 20
PAUSE_S = 1.6
SEED = 20_26


@pytest.fixture
async def house(bus: Bus, nats: NatsProcess, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(bus, nats.url, tmp_path, PIPELINE) as house:
        house.gitea.timing.stale_s = house.gitea.timing.checking_s = 0.0
        yield house


@pytest.fixture
def engines(house: House) -> Any:
    both = (EngineProcess(), EngineProcess())
    for engine in both:
        engine.start(house.configuration(**SOON))
    yield both
    for engine in both:
        engine.kill()


async def carry(house: House, seen: dict[str, Waiting], eventually: Eventually, count: int = 1) -> list[str]:
    """Do what people do with so many issues at once until their tasks are over; return the keys.

    Before the approvals somebody's work lands on the target branch, so that each branch is brought up to date once.
    """
    issues = [house.issue() for _ in range(count)]
    keys = [house.plane.key_of(issue) for issue in issues]
    for issue in issues:
        await house.start(issue)
    await eventually(lambda: all(seen.get(key) is Waiting.PERSON for key in keys), timeout_s=100)
    await house.gitea.push(REPO, "main", {f"{keys[0]}.txt": "landed"})
    for issue in issues:
        await house.judge(issue, ":approved:")
    await eventually(lambda: all(seen.get(key) is Waiting.NOTHING for key in keys), timeout_s=100)
    return keys


async def struck(engines: Engines, times: int, least_s: float, most_s: float) -> AsyncIterator[EngineProcess]:
    """Yield one or the other, so many times, at moments that are the same on every run."""
    chance = random.Random(SEED)  # noqa: S311 - nothing here is secret
    for _ in range(times):
        await asyncio.sleep(chance.uniform(least_s, most_s))  # waits: for no condition, trouble comes at any time
        yield chance.choice(engines)


async def kill_now_and_then(engines: Engines) -> None:
    async for engine in struck(engines, 14, 0.2, 1.2):
        engine.kill()
        engine.start_again()


async def pause_now_and_then(engines: Engines) -> None:
    """Each pause outlasts leases and the server's patience, so that what was in hand is taken over."""
    async for engine in struck(engines, 8, 0.1, 0.8):
        engine.pause()
        await asyncio.sleep(PAUSE_S)  # waits: the pause
        engine.go_on()


@pytest.mark.timeout(150)  # 18 s on two idle cores, 25 s with pauses
@pytest.mark.behaviour("SE-2", "SE-3", "SE-4", "SE-16", "SE-17")
@pytest.mark.parametrize("disturb", [kill_now_and_then, pytest.param(pause_now_and_then, marks=pytest.mark.slow)])
async def test_many_tasks_end_alike_whichever_engine_dies_or_sleeps(
    house: House, engines: Engines, eventually: Eventually, disturb: Disturb
) -> None:
    """No command is doubled, no event applied twice, nothing lost: each task's story is that of an undisturbed one."""
    async with stand_in_runner.running(house), watching(house) as seen:
        (first,) = await carry(house, seen, eventually)
        await eventually(house.is_quiet, timeout_s=20)
        undisturbed = await story_of(house, first)
        disturbing = asyncio.ensure_future(disturb(engines))
        keys = await carry(house, seen, eventually, TASKS)
        await disturbing
        await eventually(house.is_quiet, timeout_s=20)
    for key in keys:
        assert await story_of(house, key) == undisturbed
