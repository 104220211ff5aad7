"""Whose commit it is, by whoever knows: what was noted, the tasks' heads, the forge, and at last a guess (GW-8)."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from conveyor.contracts.task import Task
from conveyor.gateway.admission import Kept
from conveyor.gateway.core.drafts import Ignored, IgnoredKind
from conveyor.gateway.handlers import Intake
from conveyor.servicekit.clock import SYSTEM_CLOCK
from tests.unit.gateway.world import SOURCE, World, ways_of

pytestmark = pytest.mark.behaviour("GW-8")
AT = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)


def task(key: str, stage: str = "development", **fields: Any) -> Task:
    values: dict[str, Any] = {"project": "shop", "key": key, "issue_id": "i", "title": "t", "stage": stage}
    return Task(**values | {"created_at": AT, "entered_at": AT, "branch": f"feature/{key}-t"} | fields)


async def whose(world: World, folder: Path, sha: str = "abc") -> str:
    """The task that a status of this commit was told to; empty for nobody."""
    answer = await Intake(ways_of(world, folder), 5.0, SYSTEM_CLOCK).take(SOURCE, {}, f"? {sha}".encode())
    if isinstance(answer, Kept):
        return answer.event.key
    assert isinstance(answer, Ignored)
    assert answer.kind is IgnoredKind.NO_TASK
    return ""


HEAD = task("SHOP-2", stage="review", head="abc")


@pytest.mark.parametrize(
    ("world", "key", "asked"),
    [
        (World(noted={"commit.abc": "shop/SHOP-1"}, tasks=(HEAD,)), "SHOP-1", 0),
        (World(tasks=(HEAD, task("SHOP-3"))), "SHOP-2", 0),
        (World(tasks=(task("SHOP-3"),)), "SHOP-9", 1),
        (World(tasks=(task("SHOP-3"),), branches=("main", "feature/OTHER-1-x")), "SHOP-3", 1),
        (World(tasks=(task("SHOP-3"), task("SHOP-4")), branches=()), "", 1),
        (World(tasks=(task("SHOP-3", stage="done"),), branches=()), "", 1),
        (World(noted={"commit.abc": "OTHER-1"}), "", 0),
    ],
    ids=["noted", "head", "forge", "guess", "ambiguous", "over", "unknown-project"],
)
async def test_the_cheapest_that_knows_is_believed(world: World, key: str, asked: int, tmp_path: Path) -> None:
    assert await whose(world, tmp_path) == key
    assert world.asked == asked
