"""What runs when: priorities, caps over all runners, accounts that are paused; nothing waits in a slot."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from conveyor.contracts import streams
from conveyor.contracts.commands import Level, Notify, Priority
from conveyor.contracts.events import RunFinished, RunStarted
from conveyor.contracts.outcomes import OutcomeKind, OutcomeReason
from conveyor.runner.process.sweep import members
from conveyor.servicekit.bus import Bucket, scan
from tests.scenarios.runner.rig import Eventually, Rig, running


async def all_finished(rig: Rig, keys: list[str]) -> list[RunFinished]:
    found = [event for key in keys for event in await rig.events(RunFinished, key)]
    return found if len(found) == len(keys) else []


@pytest.mark.behaviour("RU-1")
async def test_one_slot_takes_high_before_normal_before_low_and_the_oldest_first(
    rig: Rig, eventually: Eventually
) -> None:
    wanted = [
        (Priority.LOW, "SHOP-1"),
        (Priority.NORMAL, "SHOP-2"),
        (Priority.NORMAL, "SHOP-3"),
        (Priority.HIGH, "SHOP-4"),
    ]
    for priority, key in wanted:
        await rig.order("analyst", key=key, branch=f"feature/{key}", priority=priority)
    keys = [key for _, key in wanted]
    async with running(rig.settings(rig.agent(), ack_wait_s=30)):
        await eventually(lambda: all_finished(rig, keys), timeout_s=40)
    begun = {key: (await rig.events(RunStarted, key))[0].at for key in keys}
    assert sorted(keys, key=lambda key: begun[key]) == ["SHOP-4", "SHOP-2", "SHOP-3", "SHOP-1"]


@pytest.mark.behaviour("RU-1")
@pytest.mark.parametrize("cap", ["project.shop", "agent.scripted", "pool.default", "stage.development"])
async def test_a_cap_holds_over_all_runners_together(rig: Rig, eventually: Eventually, cap: str) -> None:
    agent = rig.agent({"analyst": [{"do": "succeed", "delay_s": 0.7}]})
    first = rig.settings(agent, "runner-1", slots=2, caps={cap: 1})
    second = rig.settings(agent, "runner-2", slots=2, caps={cap: 1})
    keys = ["SHOP-1", "SHOP-2"]
    async with running(first), running(second):
        orders = [await rig.order("analyst", key=key, branch=f"feature/{key}") for key in keys]
        at_once = 0
        while not await all_finished(rig, keys):
            at_once = max(at_once, sum(bool(members(order.run_id)) for order in orders))
            await asyncio.sleep(0.05)  # waits: for both to end
    assert at_once == 1
    assert not await Bucket(rig.bus, streams.LEASES).keys("cap"), "every place was given back"


@pytest.mark.behaviour("RU-9")
async def test_three_overloads_pause_the_account_for_everybody_and_alert_once(rig: Rig, eventually: Eventually) -> None:
    agent = replace(rig.agent({"developer": ["overload"]}), account="team")
    async with running(rig.settings(agent)):
        for _ in range(3):
            assert (await rig.outcome(await rig.order(), eventually)).kind is OutcomeKind.TRANSIENT
    async with running(rig.settings(agent, "runner-2")):
        waiting = await rig.order()
        await asyncio.sleep(1.0)  # waits: for a run that must not come
        assert await Bucket(rig.bus, streams.RUNS).get(waiting.run_id) is None
    entry = await Bucket(rig.bus, streams.BREAKERS).get("team")
    assert entry is not None
    assert json.loads(entry.value)["streak"] == 3
    found = [message async for message in scan(rig.bus, streams.COMMANDS.name, ("command.effect.notify.>",))]
    (alert,) = [json.loads(message.body) for message in found]
    assert alert["type"] == Notify.__name__
    assert alert["level"] == Level.ALERT
    assert "team is paused" in alert["text"]


@pytest.mark.behaviour("RU-9")
async def test_when_its_time_is_over_one_run_probes_and_its_success_lets_all_go_on(
    rig: Rig, eventually: Eventually
) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)  # noqa: TID251 - the runner's own clock is the system's
    opened = {"streak": 3, "open_until": past.isoformat(), "why": "529 Overloaded"}
    bucket = Bucket(rig.bus, streams.BREAKERS)
    await bucket.put("scripted", json.dumps(opened).encode())
    async with running(rig.settings(rig.agent())):
        assert (await rig.outcome(await rig.order(), eventually)).kind is OutcomeKind.SUCCEEDED
    entry = await bucket.get("scripted")
    assert entry is not None
    assert json.loads(entry.value) == {}


@pytest.mark.behaviour("RU-9")
async def test_a_used_up_limit_tells_until_when_and_closes_the_lane(rig: Rig, eventually: Eventually) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=2)  # noqa: TID251 - as above
    agent = rig.agent({"developer": [{"do": "rate_limit", "resets_at": int(until.timestamp())}, "succeed"]})
    async with running(rig.settings(agent)):
        outcome = await rig.outcome(await rig.order(), eventually)
        assert (outcome.kind, outcome.reason) == (OutcomeKind.TRANSIENT, OutcomeReason.RATE_LIMITED)
        assert outcome.resets_at == until
        waiting = await rig.order()
        await asyncio.sleep(1.0)  # waits: for a run that must not come
        assert await Bucket(rig.bus, streams.RUNS).get(waiting.run_id) is None


@pytest.mark.behaviour("RU-6")
async def test_an_agent_that_is_too_old_is_not_called(rig: Rig, eventually: Eventually) -> None:
    agent = rig.agent()
    old = replace(agent, version=(*agent.command[:3], "--version"), min_version="9.0")
    async with running(rig.settings(old)):
        command = await rig.order()
        await asyncio.sleep(1.0)  # waits: for a run that must not come
        assert await Bucket(rig.bus, streams.RUNS).get(command.run_id) is None
    young = replace(old, min_version="0.9")
    async with running(rig.settings(young)):
        assert (await rig.outcome(command, eventually)).kind is OutcomeKind.SUCCEEDED
