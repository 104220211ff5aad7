"""What becomes of deliveries that waited: in order, once, and none is waited for without end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from conveyor.contracts.errors import PermanentError, TransientError
from conveyor.gateway.drain import PATIENCE, Drain, Refusals
from conveyor.gateway.figures import Figures
from conveyor.gateway.spool.queue import Spool
from conveyor.gateway.spool.record import Delivery
from conveyor.servicekit.clock import SYSTEM_CLOCK, SystemClock
from conveyor.servicekit.metrics import Metrics
from tests.unit.gateway.world import SOURCE, World, ways_of

Eventually = Callable[..., Awaitable[Any]]


@asynccontextmanager
async def draining(
    world: World, folder: Path, *bodies: str, clock: SystemClock = SYSTEM_CLOCK
) -> AsyncIterator[tuple[Spool, Metrics]]:
    ways, metrics = ways_of(world, folder), Metrics("gateway")
    spool = ways.spools["gitea"]
    for body in bodies:
        at = SYSTEM_CLOCK.now()
        await spool.append(Delivery(source="gitea", headers={}, body=body.encode(), received_at=at))
    stopping = asyncio.Event()
    running = asyncio.create_task(Drain(SOURCE, ways, Figures(metrics), clock).run(stopping))
    try:
        yield spool, metrics
    finally:
        stopping.set()
        await running


@pytest.mark.behaviour("GW-3")
async def test_each_task_hears_its_own_in_order_whatever_fails_on_the_way(
    tmp_path: Path, eventually: Eventually
) -> None:
    bodies = [f"SHOP-{number % 3 + 1} {number:03}" for number in range(200)]
    world = World(bus_fails=7, is_there=False)
    async with draining(world, tmp_path, *bodies) as (spool, _):
        assert not world.told
        world.is_there = True
        await eventually(lambda: spool.depth == 0)
    assert len(world.told) == 200
    for task in ("SHOP-1", "SHOP-2", "SHOP-3"):
        shas = [sha for key, sha in world.told if key == task]
        assert shas == sorted(shas)


@pytest.mark.behaviour("GW-3", "GW-5")
async def test_what_means_nothing_is_dropped_and_counted(tmp_path: Path, eventually: Eventually) -> None:
    async with draining(World(), tmp_path, "-", "nonsense", "SHOP-1 a", "SHOP-1 a") as (spool, metrics):
        await eventually(lambda: spool.depth == 0)
        page = metrics.page().decode()
    for outcome in ("ignored", "malformed", "stored", "duplicate"):
        assert f'spool_drained_total{{outcome="{outcome}",source="gitea"}} 1.0' in page


@pytest.mark.behaviour("GW-3")
async def test_what_cannot_be_asked_now_holds_up_what_came_after_it(tmp_path: Path, eventually: Eventually) -> None:
    world = World(forge_error=TransientError("the forge is away"))
    async with draining(world, tmp_path, "SHOP-1 a", "? b", "SHOP-1 c") as (spool, _):
        await eventually(lambda: spool.depth == 2)
        assert world.told == [("SHOP-1", "a")]
        world.forge_error = None
        await eventually(lambda: spool.depth == 0)
    assert world.told == [("SHOP-1", "a"), ("SHOP-9", "b"), ("SHOP-1", "c")]


class Later(SystemClock):
    """A clock that is ahead, by as much as a test says."""

    ahead = PATIENCE + timedelta(seconds=1)

    def now(self) -> datetime:
        return super().now() + self.ahead


@pytest.mark.behaviour("GW-3")
async def test_a_refusal_is_believed_after_a_while(tmp_path: Path, eventually: Eventually) -> None:
    """Somebody may mend the key in time; but one bad delivery must not hold up all others for ever."""
    world = World(forge_error=PermanentError("bad key"))
    async with draining(world, tmp_path / "now", "? b") as (spool, _):
        await eventually(lambda: spool.depth == 1 and world.told == [])
        world.forge_error = None
        await eventually(lambda: spool.depth == 0)
        assert world.told == [("SHOP-9", "b")]
    world.forge_error = PermanentError("bad key")
    async with draining(world, tmp_path / "later", "? d", "SHOP-1 e", clock=Later()) as (spool, metrics):
        await eventually(lambda: spool.depth == 0)
        assert 'outcome="refused"' in metrics.page().decode()
    assert world.told[1:] == [("SHOP-1", "e")]


@pytest.mark.behaviour("GW-3")
async def test_what_is_refused_again_and_again_stalls_the_rest_but_once(tmp_path: Path, eventually: Eventually) -> None:
    """A project that our account may not see: each of its deliveries would keep all others waiting for minutes."""
    world, clock = World(forge_error=PermanentError("not allowed")), Later()
    clock.ahead = timedelta()
    async with draining(world, tmp_path, "? a", "SHOP-1 b", clock=clock) as (spool, metrics):
        await eventually(lambda: spool.oldest is not None and spool.depth == 2)
        clock.ahead = Later.ahead
        await eventually(lambda: spool.depth == 0)
        await spool.append(Delivery(source="gitea", headers={}, body=b"? c", received_at=clock.now()))
        await spool.append(Delivery(source="gitea", headers={}, body=b"SHOP-1 d", received_at=clock.now()))
        await eventually(lambda: spool.depth == 0)
        assert 'spool_drained_total{outcome="refused",source="gitea"} 2.0' in metrics.page().decode()
    assert world.told == [("SHOP-1", "b"), ("SHOP-1", "d")]


def test_a_refusal_that_was_mended_in_between_gets_its_patience_anew() -> None:
    refusals, begun = Refusals(), SYSTEM_CLOCK.now()
    assert not refusals.is_believed("no", begun, begun)
    assert not refusals.is_believed("other", begun, begun + PATIENCE / 2)
    assert refusals.is_believed("no", begun, begun + PATIENCE)
    refusals.passed(begun + PATIENCE)
    assert refusals.is_believed("no", begun + PATIENCE, begun + PATIENCE)
    assert not refusals.is_believed("no", begun + 3 * PATIENCE, begun + 3 * PATIENCE)


def test_while_everything_is_refused_each_delivery_is_waited_for() -> None:
    """A key that is wrong for all is mended within minutes; what came in the meantime must not be gone by then."""
    refusals, begun = Refusals(), SYSTEM_CLOCK.now()
    assert not refusals.is_believed("bad key", begun, begun)
    assert refusals.is_believed("bad key", begun, begun + PATIENCE)
    assert not refusals.is_believed("bad key", begun + PATIENCE / 2, begun + PATIENCE)


@pytest.mark.behaviour("GW-3")
async def test_an_event_that_the_bus_will_never_take_holds_up_no_other(tmp_path: Path, eventually: Eventually) -> None:
    world = World(too_large="b")
    async with draining(world, tmp_path, "SHOP-1 a", "SHOP-1 b", "SHOP-2 c", "SHOP-1 d") as (spool, metrics):
        await eventually(lambda: spool.depth == 0)
        assert 'spool_drained_total{outcome="refused",source="gitea"} 1.0' in metrics.page().decode()
    assert world.told == [("SHOP-1", "a"), ("SHOP-2", "c"), ("SHOP-1", "d")]


@pytest.mark.behaviour("GW-3")
async def test_a_record_that_went_bad_while_it_waited_is_counted_and_costs_no_other(
    tmp_path: Path, eventually: Eventually
) -> None:
    world = World(is_there=False)
    async with draining(world, tmp_path, "SHOP-1 a", "SHOP-1 b", "SHOP-1 c") as (spool, metrics):
        (file,) = (tmp_path / "gitea").iterdir()
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        world.is_there = True
        await eventually(lambda: spool.depth == 0)
        assert 'spool_drained_total{outcome="damaged",source="gitea"} 1.0' in metrics.page().decode()
    assert world.told == [("SHOP-1", "a"), ("SHOP-1", "c")]
