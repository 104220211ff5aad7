"""One verified delivery in, one answer out: each way it can go, and that none holds the answer up."""

import asyncio
from pathlib import Path

import pytest

from conveyor.contracts.errors import PermanentError, TransientError
from conveyor.gateway.admission import Kept
from conveyor.gateway.core.drafts import Ignored, IgnoredKind
from conveyor.gateway.handlers import Answer, Intake, Malformed, Spooled, Unavailable
from conveyor.gateway.ways import Ways
from conveyor.servicekit.clock import SYSTEM_CLOCK
from tests.unit.gateway.world import SOURCE, Stored, World, ways_of

pytestmark = pytest.mark.behaviour("GW-3")


async def take(ways: Ways, body: str, within_s: float = 5.0) -> Answer:
    return await Intake(ways, within_s, SYSTEM_CLOCK).take(SOURCE, {}, body.encode())


async def bodies(ways: Ways) -> list[bytes]:
    return [getattr(one, "body", b"damaged") for one in await ways.spools["gitea"].first(99)]


async def test_a_fact_is_kept_and_known_the_second_time(tmp_path: Path) -> None:
    ways = ways_of(World(), tmp_path)
    first, second = await take(ways, "SHOP-1 a"), await take(ways, "SHOP-1 a")
    assert isinstance(first, Kept)
    assert isinstance(second, Kept)
    assert (first.is_duplicate, second.is_duplicate) == (False, True)
    assert first.event.event_id == second.event.event_id


async def test_while_one_waits_all_that_comes_later_waits_behind_it(tmp_path: Path) -> None:
    """Else the bus would hear the second before the first."""
    world = World(is_there=False)
    ways = ways_of(world, tmp_path)
    assert isinstance(await take(ways, "SHOP-1 a"), Spooled)
    world.is_there = True
    for body in ("SHOP-1 b", "SHOP-2 c"):
        assert await take(ways, body) == Spooled(f"{ways.spools['gitea'].depth - 1} deliveries wait already")
    assert await bodies(ways) == [b"SHOP-1 a", b"SHOP-1 b", b"SHOP-2 c"]
    assert world.told == []


@pytest.mark.parametrize(
    ("body", "kind"), [("-", IgnoredKind.UNUSED_KIND), ("SHOP-1 elsewhere", IgnoredKind.UNKNOWN_PROJECT)]
)
async def test_what_nobody_has_to_be_asked_about_is_never_kept(tmp_path: Path, body: str, kind: IgnoredKind) -> None:
    """Another project's webhooks must not fill the spool of ours."""
    ways = ways_of(World(is_there=False), tmp_path)
    await take(ways, "SHOP-1 a")
    answer = await take(ways, body)
    assert isinstance(answer, Ignored)
    assert answer.kind is kind
    assert await bodies(ways) == [b"SHOP-1 a"]


@pytest.mark.parametrize("error", [TransientError("the forge is away"), PermanentError("the forge refuses")])
async def test_what_cannot_be_found_out_now_is_kept(tmp_path: Path, error: Exception) -> None:
    ways = ways_of(World(forge_error=error), tmp_path)
    assert await take(ways, "? a") == Spooled(str(error))
    assert await bodies(ways) == [b"? a"]


class Mute(World):
    """A bus that never says anything."""

    async def publish(self, *_event: object) -> Stored:
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_bus_that_says_nothing_holds_no_answer(tmp_path: Path) -> None:
    ways = ways_of(Mute(), tmp_path)
    begun = SYSTEM_CLOCK.monotonic()
    assert await take(ways, "SHOP-1 a", within_s=0.5) == Spooled("not told within 0.3 s")
    assert SYSTEM_CLOCK.monotonic() - begun < 2
    assert await bodies(ways) == [b"SHOP-1 a"]


async def test_what_can_be_kept_nowhere_is_promised_to_nobody(tmp_path: Path) -> None:
    ways = ways_of(World(is_there=False), tmp_path, max_bytes=10)
    answer = await take(ways, "SHOP-1 a")
    assert isinstance(answer, Unavailable)
    assert "full" in answer.reason
    assert "the bus is away" in answer.reason


@pytest.mark.behaviour("GW-2")
async def test_what_is_no_delivery_is_refused_even_while_the_bus_is_away(tmp_path: Path) -> None:
    ways = ways_of(World(is_there=False), tmp_path)
    assert await take(ways, "nonsense") == Malformed("no delivery")
    assert await bodies(ways) == []
