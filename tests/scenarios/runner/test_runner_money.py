"""Runs that spend too much or go in circles are stopped while they run; what was spent can be looked up."""

import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from conveyor.contracts import streams
from conveyor.contracts.outcomes import OutcomeKind, OutcomeReason, Usage
from conveyor.contracts.spending import Spent
from conveyor.runner.core.agent import Agent
from conveyor.runner.core.money import Price
from conveyor.runner.sandbox import SandboxSettings
from conveyor.runner.settings import Settings
from conveyor.servicekit.bus import Bucket
from tests.scenarios.runner.rig import Eventually, Rig, running

TEN_CENTS = "100000"
PRICE = Price(input_usd=1.0)


def spender(rig: Rig, *arguments: str, **changes: object) -> Agent:
    """A message costs ten cents; a hundred of them, unless it is stopped."""
    program = rig.folder / "spender.py"
    shutil.copy(Path(__file__).with_name("spender.py"), program)
    rig.sandbox = SandboxSettings(readable=(str(program),))
    return rig.agent(command=(sys.executable, str(program), *arguments), price=PRICE, repeat_limit=0, **changes)


def with_day_budget(settings: Settings, usd: float) -> Settings:
    return replace(settings, project=tuple(replace(one, day_budget_usd=usd) for one in settings.project))


def today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"  # noqa: TID251 - the runner's own clock is the system's


@pytest.mark.behaviour("RU-13")
@pytest.mark.parametrize("whose", ["run", "task"])
async def test_a_run_is_stopped_within_five_percent_of_its_budget(rig: Rig, eventually: Eventually, whose: str) -> None:
    async with running(rig.settings(spender(rig, "100", TEN_CENTS))):
        command = await rig.order(budgets={whose: 1.0, "other": 50.0})
        outcome = await rig.outcome(command, eventually)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.FAILED, OutcomeReason.BUDGET_SPENT)
    assert f"the {whose}'s budget" in outcome.detail
    assert 0.9 <= outcome.usage.cost_usd <= 1.05
    entries = await Bucket(rig.bus, streams.SPEND).entries(f"shop.{today()}")
    (entry,) = entries.values()
    spent = msgspec.json.decode(entry.value, type=Spent)
    assert (spent.key, spent.stage, spent.role, spent.agent) == ("SHOP-12", "development", "developer", "scripted")
    assert spent.usage == outcome.usage


@pytest.mark.behaviour("RU-13")
async def test_what_other_runs_spent_today_counts_and_no_further_run_starts(rig: Rig, eventually: Eventually) -> None:
    others = Spent(key="SHOP-1", stage="analysis", role="analyst", agent="a", usage=Usage(cost_usd=4.0))
    await Bucket(rig.bus, streams.SPEND).put(f"shop.{today()}.elsewhere", msgspec.json.encode(others))
    async with running(with_day_budget(rig.settings(spender(rig, "100", TEN_CENTS)), 5.0)):
        first = await rig.outcome(await rig.order(), eventually)
        second = await rig.outcome(await rig.order(), eventually)
    assert first.reason is OutcomeReason.BUDGET_SPENT
    assert "the day's budget" in first.detail
    assert 4.9 <= 4.0 + first.usage.cost_usd <= 5.25
    assert second.reason is OutcomeReason.BUDGET_SPENT
    assert (second.usage.cost_usd, second.detail[:10]) == (0.0, "not begun:")


@pytest.mark.behaviour("RU-13")
async def test_an_agent_that_makes_the_same_call_again_and_again_is_stopped(rig: Rig, eventually: Eventually) -> None:
    agent = replace(spender(rig, "100", TEN_CENTS, "same"), repeat_limit=5)
    async with running(rig.settings(agent)):
        outcome = await rig.outcome(await rig.order(), eventually)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.FAILED, OutcomeReason.NO_PROGRESS)
    assert "same call 5 times" in outcome.detail
    assert outcome.usage.cost_usd < 2


@pytest.mark.behaviour("RU-14")
async def test_a_session_is_resumed_where_it_lies_and_begun_anew_elsewhere(rig: Rig, eventually: Eventually) -> None:
    """The scripted agent reports the session it was told to resume; an unknown one is not even asked for."""
    agent = rig.agent(resume=("--resume", "{session_id}"))
    async with running(rig.settings(agent)):
        first = await rig.outcome(await rig.order(), eventually)
        again = await rig.outcome(await rig.order(session_id=first.session_id), eventually)
        foreign = await rig.outcome(await rig.order(session_id="held-on-another-host"), eventually)
    assert again.session_id == first.session_id
    assert foreign.session_id not in ("held-on-another-host", first.session_id, "")
    assert foreign.kind is OutcomeKind.SUCCEEDED
