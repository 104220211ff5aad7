"""`kill -9` of the engine between any two of its steps, and a restart: the same end as the undisturbed run."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from conveyor.contracts.task import Waiting
from conveyor.servicekit.bus import Bus
from conveyor.servicekit.nats_process import NatsProcess
from tests.rigs import stand_in_runner
from tests.rigs.chaos import PIPELINE, SOON, watching
from tests.rigs.engine_process import BusProxy, EngineProcess, HttpProxy, Moment, Trap
from tests.rigs.house import House, open_house
from tests.rigs.stand_in_runner import RATE_LIMITED, Play
from tests.rigs.story import Story, story_of

Eventually = Callable[..., Awaitable[Any]]


def ack_of(loop: str) -> str:
    return rf"^\$JS\.ACK\..*engine-{loop}\..* \+ACK"


def delivery_to(loop: str) -> str:
    return rf"^\$JS\.ACK\..*engine-{loop}\."


STEPS = {
    "the event is read": r"^\$JS\.API\.STREAM\.MSG\.GET\.EVENTS",
    "the transition is committed": r"^task\.",
    "the event is acknowledged": ack_of("decide"),
    "the issue is noted for lookup": r"^\$KV\.lookup\.issue",
    "the commit is noted for lookup": r"^\$KV\.lookup\.commit",
    "the branch is ordered": r"^command\.effect\.forge\.",
    "the comment is ordered": r"^command\.effect\.tracker\..*PostComment",
    "the status is ordered": r"^command\.effect\.tracker\..*SetStatus",
    "the run is ordered": r"^command\.run\.",
    "the timer is armed": r"^timer\.",
    "the gate is ordered": r"^command\.gate\.",
    "the notification is ordered": r"^command\.effect\.notify\.",
    "the merge is ordered": r"^command\.effect\.merge\.",
    "the release of dependents is ordered": r"^command\.effect\.tasks\.",
    "the revision is acknowledged": ack_of("relay"),
    "the gate answers": r"^event\..*\.gate_evaluated ",
    "the gate command is acknowledged": ack_of("gates"),
    "the branch command is acknowledged": ack_of("forge"),
    "the tracker command is acknowledged": ack_of("tracker"),
    "the notification is acknowledged": ack_of("notify"),
    "the lease is taken": r"^\$KV\.leases\.",
    "the lease is given back": r"^\$JS\.API\.STREAM\.PURGE\.KV_leases",
    "the merge is reported": r"^event\..*\.effect_finished ",
    "the merge command is acknowledged": ack_of("merge"),
    "the release command is acknowledged": ack_of("tasks"),
}
CALLS = {
    "the branch is made": ("gitea", r"^POST .*/branches"),
    "the comment is posted": ("plane", r"^POST .*/comments"),
    "the status is set": ("plane", r"^PATCH .*/work-items/"),
    "the pull request is merged": ("gitea", r"^POST .*/merge"),
}
LOOPS = ("decide", "relay", "gates", "forge", "tracker", "notify", "merge", "tasks")
LATER = {"the transition is committed": (4, 8, 10), "the status is ordered": (2,), "the gate answers": (2, 3)}
"""The same step again, further on in the task's life."""
MOMENTS = [
    *(Moment(f"work for {loop}", "delivered", delivery_to(loop)) for loop in LOOPS),
    *(Moment(name, when, pattern) for name, pattern in STEPS.items() for when in ("before", "after")),
    *(Moment(name, when, pattern, place) for name, (place, pattern) in CALLS.items() for when in ("before", "after")),
    *(
        Moment(f"{name} for time {nth}", when, STEPS[name], nth=nth)
        for name, times in LATER.items()
        for nth in times
        for when in ("before", "after")
    ),
]
_undisturbed: list[Story] = []


@asynccontextmanager
async def watched_engine(house: House) -> AsyncIterator[Trap]:
    """An engine behind proxies; whenever the trap has struck, it is started again."""
    async with AsyncExitStack() as stack:
        engine = EngineProcess()
        trap = Trap(engine.kill)
        proxies = [
            await stack.enter_async_context(BusProxy("bus", house.nats_url, trap)),
            await stack.enter_async_context(HttpProxy("plane", house.plane.url, trap)),
            await stack.enter_async_context(HttpProxy("gitea", house.gitea.url, trap)),
        ]
        addresses = dict(zip(("nats_url", "plane_url", "gitea_url"), (one.url for one in proxies), strict=True))
        engine.start(house.configuration(**addresses, **SOON))
        stack.callback(engine.kill)
        again = asyncio.create_task(_start_again(trap, engine))
        stack.callback(again.cancel)
        yield trap


async def _start_again(trap: Trap, engine: EngineProcess) -> None:
    await trap.struck.wait()
    engine.start_again()


async def carry(house: House, moment: Moment | None, eventually: Eventually) -> Story:
    """Do what people do with one issue until its task is over and nothing moves any more."""
    issue = house.issue()
    key = house.plane.key_of(issue)

    async with stand_in_runner.running(house) as runner, watched_engine(house) as trap, watching(house) as seen:
        runner.will("analyst", Play(outcome=RATE_LIMITED))
        trap.set(moment)
        await house.start(issue)
        await eventually(lambda: seen.get(key) is Waiting.PERSON, timeout_s=20)
        await house.judge(issue, ":approved:")
        await eventually(lambda: seen.get(key) is Waiting.NOTHING, timeout_s=20)
        await eventually(house.is_quiet, timeout_s=20)
        assert trap.struck.is_set() == (moment is not None), "the moment never came"
        return await story_of(house, key)


@pytest.fixture
async def undisturbed(bus: Bus, nats: NatsProcess, tmp_path: Path, eventually: Eventually) -> Story:
    """How the work ends when nobody is killed; found out once."""
    if not _undisturbed:
        (tmp_path / "undisturbed").mkdir()
        async with open_house(bus, nats.url, tmp_path / "undisturbed", PIPELINE) as house:
            _undisturbed.append(await carry(house, None, eventually))
    return _undisturbed[0]


@pytest.fixture
async def house(undisturbed: Story, bus: Bus, nats: NatsProcess, tmp_path: Path) -> AsyncIterator[House]:
    """A house of its own on the same bus, whose next issue has another key than the undisturbed one."""
    async with open_house(bus, nats.url, tmp_path, PIPELINE) as house:
        house.issue("Has the key of the undisturbed one")
        yield house


@pytest.mark.behaviour("SE-2", "SE-4", "SE-16", "SE-17", "SE-21")
@pytest.mark.parametrize("moment", MOMENTS, ids=str)
async def test_killed(moment: Moment, house: House, undisturbed: Story, eventually: Eventually) -> None:
    """Whatever the engine was about to do or had just done, its successor ends the work as if nothing had happened."""
    assert await carry(house, moment, eventually) == undisturbed
