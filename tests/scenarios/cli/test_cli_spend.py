"""What agents cost, added up as an operator asks."""

import msgspec
import pytest

from conveyor.contracts import streams
from conveyor.contracts.outcomes import Usage
from conveyor.contracts.spending import Spent, entry
from conveyor.servicekit.bus import Bucket, Bus
from tests.scenarios.cli.conftest import Conveyor

RUNS = (
    ("shop", "2026-01-05", "r1", "SHOP-1", "analysis", "claude", 0.5),
    ("shop", "2026-01-05", "r2", "SHOP-1", "development", "codex", 2.0),
    ("shop", "2026-01-06", "r3", "SHOP-2", "development", "claude", 1.0),
    ("till", "2026-01-06", "r4", "TILL-1", "development", "claude", 0.25),
)


@pytest.fixture
async def spent(bus: Bus) -> None:
    bucket = Bucket(bus, streams.SPEND)
    for project, day, run_id, key, stage, agent, usd in RUNS:
        usage = Usage(input_tokens=1000, output_tokens=10, cost_usd=usd)
        value = Spent(key=key, stage=stage, role="developer", agent=agent, usage=usage)
        for _ in range(2):  # put anew while the run goes on, and counted once
            await bucket.put(entry(project, day, run_id), msgspec.json.encode(value))


@pytest.mark.behaviour("RU-13")
@pytest.mark.parametrize(
    ("by", "sums"),
    [
        ("day", {"2026-01-05": 2.5, "2026-01-06": 1.25}),
        ("project", {"shop": 3.5, "till": 0.25}),
        ("task", {"shop/SHOP-1": 2.5, "shop/SHOP-2": 1.0, "till/TILL-1": 0.25}),
        ("stage", {"development": 3.25, "analysis": 0.5}),
        ("agent", {"codex": 2.0, "claude": 1.75}),
        ("run", {"r2": 2.0, "r3": 1.0, "r1": 0.5, "r4": 0.25}),
    ],
)
async def test_spending_is_added_up_by_what_is_asked_for(
    conveyor: Conveyor, spent: None, by: str, sums: dict[str, float]
) -> None:
    found = (await conveyor("spend", "--by", by, "--json")).json
    assert [(row["name"], row["usage"]["cost_usd"]) for row in found] == list(sums.items())


async def test_spending_of_one_project_or_month_and_all_together(conveyor: Conveyor, spent: None) -> None:
    shop = await conveyor("spend", "--project", "shop", "--day", "2026-01", "--by", "task")
    assert shop.code == 0, shop.err
    assert "TILL" not in shop.out
    assert "$3.50" in shop.out
    assert (await conveyor("spend", "--day", "2025")).out.strip() == "Nothing was spent."
