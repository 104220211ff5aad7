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
from tests.rigs.house import REPO, House, open_house
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
QUEUE = {
    "the update is noted": ("bus", r"^\$KV\.effects\.merge", 1),
    "the branch is brought up to date": ("gitea", r"^POST .*/update", 1),
    "the new head is told": ("bus", r"^event\..*\.branch_pushed ", 1),
    "the new head is pinned": ("bus", r"^\$KV\.effects\.merge", 2),
    "CI is read": ("gitea", r"^GET .*/status", 1),
    "the pull request is merged": ("gitea", r"^POST .*/merge", 1),
}
"""What happens in the merge queue to a branch whose target has moved, in a repository with CI."""
LATER = {"the transition is committed": (4, 8, 10), "the status is ordered": (2,), "the gate answers": (2, 3)}
"""The same step again, further on in the task's life."""
MOMENTS = [
    *(Moment(f"work for {loop}", "delivered", delivery_to(loop)) for loop in LOOPS),
    *(Moment(name, when, pattern) for name, pattern in STEPS.items() for when in ("before", "after")),
    *(Moment(name, when, pattern, place) for name, (place, pattern) in CALLS.items() for when in ("before", "after")),
    *(
        pytest.param(moment, marks=pytest.mark.slow, id=str(moment))
        for name, times in LATER.items()
        for nth in times
        for when in ("before", "after")
        for moment in (Moment(f"{name} for time {nth}", when, STEPS[name], nth=nth),)
    ),
]
QUEUE_MOMENTS = [
    Moment(name, when, pattern, place, nth)
    for name, (place, pattern, nth) in QUEUE.items()
    for when in ("before", "after")
]
WAIT_S = 40
"""Some three seconds on two idle cores; a busy machine takes its time."""
pytestmark = pytest.mark.timeout(4 * WAIT_S)
_undisturbed: dict[bool, Story] = {}
"""By whether the target branch moves before the merge."""


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


async def carry(house: House, moment: Moment | None, eventually: Eventually, *, moves: bool = False) -> Story:
    """Do what people do with one issue until its task is over and nothing moves any more.

    `moves`: the repository has CI, and somebody else's work lands on its target branch meanwhile.
    """
    issue = house.issue()
    key = house.plane.key_of(issue)
    if moves:
        house.gitea.enable_ci(REPO)
        house.change_project(ci=True)

    async with stand_in_runner.running(house) as runner, watched_engine(house) as trap, watching(house) as seen:
        runner.will("analyst", Play(outcome=RATE_LIMITED))
        trap.set(moment)
        await house.start(issue)
        await eventually(lambda: seen.get(key) is Waiting.PERSON, timeout_s=WAIT_S)
        if moves:
            await house.gitea.push(REPO, "main", {"coffee.py": "black"})
        await house.judge(issue, ":approved:")
        await eventually(lambda: seen.get(key) is Waiting.NOTHING, timeout_s=WAIT_S)
        await eventually(house.is_quiet, timeout_s=WAIT_S)
        assert trap.struck.is_set() == (moment is not None), "the moment never came"
        return await story_of(house, key)


async def undisturbed(house: House, eventually: Eventually, *, moves: bool = False) -> Story:
    """How the work ends when nobody is killed; found out once, in a house of its own on the same bus."""
    if moves not in _undisturbed:
        folder = house.folder / "undisturbed"
        folder.mkdir()
        async with open_house(house.bus, house.nats_url, folder, PIPELINE) as quiet:
            _undisturbed[moves] = await carry(quiet, None, eventually, moves=moves)
    return _undisturbed[moves]


@pytest.fixture
async def house(bus: Bus, nats: NatsProcess, tmp_path: Path) -> AsyncIterator[House]:
    """A house whose next issue has another key than the undisturbed one on the same bus."""
    async with open_house(bus, nats.url, tmp_path, PIPELINE) as house:
        house.issue("Has the key of the undisturbed one")
        yield house


@pytest.mark.behaviour("SE-2", "SE-4", "SE-16", "SE-17", "SE-21")
@pytest.mark.parametrize("moment", MOMENTS, ids=str)
async def test_killed(moment: Moment, house: House, eventually: Eventually) -> None:
    """Whatever the engine was about to do or had just done, its successor ends the work as if nothing had happened."""
    expected = await undisturbed(house, eventually)
    assert await carry(house, moment, eventually) == expected


@pytest.mark.behaviour("SE-16", "SE-17")
@pytest.mark.parametrize("moment", QUEUE_MOMENTS, ids=str)
async def test_killed_at_the_head_of_the_merge_queue(moment: Moment, house: House, eventually: Eventually) -> None:
    """A branch brought up to date is so once, and what is merged is that very commit, whoever dies in between."""
    expected = await undisturbed(house, eventually, moves=True)
    assert "BranchPushed" in expected.events
    assert await carry(house, moment, eventually, moves=True) == expected
