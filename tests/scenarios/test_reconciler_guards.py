"""Nudges against a real bus and tracker, who leads, settings that are refused, and the senders of webhooks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from conveyor.contracts.commands import GateCause, Level
from conveyor.contracts.errors import SettingsError, TransientError
from conveyor.contracts.events import AnyEvent, IssueStarted, Nudged, Origin
from conveyor.contracts.streams import LEASES
from conveyor.contracts.task import GateWatch, Task, Waiting
from conveyor.contracts.transition import TaskRecord
from conveyor.reconciler.app import check_stages, compose
from conveyor.reconciler.handlers import Reconciler
from conveyor.reconciler.patience import PatientLimiter
from conveyor.reconciler.report import Report
from conveyor.reconciler.settings import ReconcilerSettings, Settings
from conveyor.servicekit.bus import Bucket, Bus, EventLog, Lease, TaskStore, leader
from conveyor.servicekit.clock import SYSTEM_CLOCK
from conveyor.servicekit.lifecycle import Service
from conveyor.servicekit.nats_process import NatsProcess
from conveyor.servicekit.secret import Secret
from conveyor.servicekit.settings import load
from tests.rigs import sweeping
from tests.rigs.house import KEY, REPO, House, open_house

Eventually = Callable[..., Awaitable[Any]]
LATE = {"grace_s": 600.0}


@pytest.fixture
async def house(bus: Bus, nats: NatsProcess, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(bus, nats.url, tmp_path) as house:
        yield house


def cause(house: House, key: str) -> IssueStarted:
    then = SYSTEM_CLOCK.now() - timedelta(hours=2)
    return IssueStarted(**house.said(key, f"e-{key}", then), issue_id="i", title="Sell tea")


async def stalled(house: House) -> Task:
    """A task whose gate's evaluation went out two hours ago and never came back."""
    then = SYSTEM_CLOCK.now() - timedelta(hours=2)
    task = Task(
        project="shop",
        key=KEY,
        issue_id=house.issue().id,
        title="Sell tea",
        stage="testing",
        created_at=then,
        entered_at=then,
        since=then,
        branch="feature/SHOP-1-sell-tea",
        waiting=Waiting.GATE,
        gate=GateWatch(gate_id="g1", cause=GateCause.AGENT),
        revision=1,
    )
    await TaskStore(house.bus).commit(TaskRecord(task=task, event=cause(house, KEY)), 0)
    house.plane.move_issue(KEY, "In Progress", by=house.bot, quietly=True)
    house.plane.backdate(KEY, 7200)
    return task


async def swept(house: House, **settings: Any) -> Report:
    async with sweeping.reconciler(house, **LATE | settings) as sweeper:
        return await sweeper.run_pass()


async def nudges(house: House) -> list[AnyEvent]:
    return [event for _, _, event in await EventLog(house.bus).history("shop", KEY) if isinstance(event, Nudged)]


@pytest.mark.behaviour("RC-4")
async def test_an_evaluation_that_never_came_back_is_asked_for_again_once(house: House) -> None:
    await stalled(house)
    assert [(await swept(house)).repaired for _ in range(3)] == [1, 0, 0]
    (event,) = await nudges(house)
    assert isinstance(event, Nudged)
    assert (event.gate_id, event.reason, event.origin) == ("g1", "its evaluation never came back", Origin.RECONCILER)


@pytest.mark.behaviour("RC-5", "RC-8")
@pytest.mark.parametrize("status", ["Blocked", "Needs Input", "Done"])
async def test_an_issue_that_waits_or_has_ended_is_not_nudged_unless_the_guard_is_off(
    status: str, house: House
) -> None:
    await stalled(house)
    house.plane.move_issue(KEY, status, by=house.bot, quietly=True)
    house.plane.backdate(KEY, 7200)
    report = await swept(house)
    assert (report.guarded, await nudges(house)) == (1, [])
    await swept(house, blocked_guard=False)
    assert len(await nudges(house)) == 1


@pytest.mark.behaviour("RC-5")
async def test_while_the_tracker_is_silent_nobody_is_nudged(house: House) -> None:
    await stalled(house)
    house.plane.answer_next(503, 50)
    report = await swept(house, tracker=False)
    assert (report.guarded, report.repaired) == (1, 0)


@pytest.mark.behaviour("RC-5", "RC-9")
async def test_a_guard_asks_the_tracker_once_a_pass(house: House) -> None:
    await stalled(house)
    async with sweeping.reconciler(house, **LATE, tracker=False) as sweeper:
        await sweeper.run_pass()
        asked = [one for one in house.plane.requests if f"/work-items/{house.plane.issue(KEY).id}" in str(one)]
    assert len(asked) == 1


@pytest.mark.behaviour("RC-4", "RC-8")
async def test_a_stage_may_have_a_grace_of_its_own(house: House) -> None:
    await stalled(house)
    assert (await swept(house, stage_grace_s={"testing": 14400.0})).repaired == 0
    assert (await swept(house, stage_grace_s={"review": 14400.0})).repaired == 1


@pytest.mark.behaviour("RC-8")
@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("grace_s = -1", "reconciler.grace_s"),
        ("interval_s = 0", "reconciler.interval_s"),
        ('interval_s = "often"', "reconciler.interval_s"),
        ("loss_alert = 2", "reconciler.loss_alert"),
        ("blocked_gard = false", "blocked_gard"),
        ("stage_grace_s = { testing = -5 }", "reconciler.stage_grace_s"),
    ],
)
def test_a_malformed_setting_is_refused_by_its_name(text: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "conveyor.toml"
    path.write_text(f"[reconciler]\n{text}\n")
    with pytest.raises(SettingsError, match=name):
        load(Settings, path, environment={})


@pytest.mark.behaviour("RC-8")
def test_a_grace_for_a_stage_that_no_pipeline_has_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"stage_grace_s\.tasting: no pipeline has this stage"):
        check_stages(Settings(reconciler=ReconcilerSettings(stage_grace_s={"tasting": 5.0})), None)


@pytest.mark.behaviour("RC-9")
async def test_one_leads_and_a_standby_takes_over_from_one_that_died(bus: Bus, eventually: Eventually) -> None:
    """The lease lasts 20 s as shipped, asked for every third of it: less than 30 s. Here it is shorter."""
    shipped = Lease(Bucket(bus, LEASES), "x", "y", ReconcilerSettings().lease_s)
    assert ReconcilerSettings().lease_s + shipped.period_s <= 30
    leading: list[str] = []

    def contender(name: str, stopping: asyncio.Event) -> asyncio.Task[None]:
        async def lead(_token: int) -> None:
            leading.append(name)
            await stopping.wait()

        lease = Lease(Bucket(bus, LEASES), "reconciler", name, 1.0)
        return asyncio.create_task(leader(lease, lead, stopping=stopping))

    dead = Lease(Bucket(bus, LEASES), "reconciler", "dead", 1.0)
    assert await dead.acquire() is not None
    stopping = asyncio.Event()
    standby = contender("standby", stopping)
    assert leading == []
    await eventually(lambda: leading)
    other = contender("third", stopping)
    await asyncio.sleep(0.5)  # waits: long enough for the third to have asked
    assert leading == ["standby"]
    stopping.set()
    await asyncio.gather(standby, other)


class Strict:
    """A limiter that puts off, as a shared one does."""

    def __init__(self, *waits_s: float) -> None:
        self.waits_s = list(waits_s)

    async def take(self, doing: str) -> None:
        if self.waits_s:
            raise TransientError(doing, retry_after_s=self.waits_s.pop(0))

    def learn(self, remaining: int) -> None:
        """Nothing to learn."""

    def hold(self, seconds: float) -> None:
        self.waits_s.append(seconds)


@pytest.mark.behaviour("RC-9")
async def test_polling_waits_for_its_turn_and_gives_up_when_that_takes_too_long(clock: Any) -> None:
    patient = PatientLimiter(Strict(30.0, 25.0), clock)
    taken = asyncio.create_task(patient.take("listing"))
    await clock.advance(54)
    assert not taken.done()
    await clock.advance(2)
    await taken
    assert patient.calls == 1
    patient.hold(400.0)
    with pytest.raises(TransientError):
        await patient.take("listing")


@pytest.mark.behaviour("RC-9")
async def test_after_a_429_nothing_is_asked_until_the_tracker_allows_it(house: House) -> None:
    house.issue()
    house.plane.answer_next(429, 1)
    async with sweeping.reconciler(house) as sweeper:
        assert (await sweeper.run_pass()).failed == 1
        asked = len(house.plane.requests)
        waits = asyncio.create_task(sweeper.run_pass())
        await asyncio.wait({waits}, timeout=0.3)
        assert not waits.done()
        assert len(house.plane.requests) == asked
        waits.cancel()


@pytest.mark.behaviour("RC-11")
async def test_the_forges_webhook_is_registered_again_when_it_is_missing_or_inactive(house: House) -> None:
    told: list[str] = []

    async def tell(text: str, _key: str, level: Level = Level.INFO) -> None:
        told.append(f"{level}: {text}")

    house.gitea.add_collaborator(REPO, "conveyor", "admin")
    settings = sweeping.settings_of(house)
    settings = structs.replace(
        settings,
        gitea=structs.replace(settings.gitea, webhook_secrets=(Secret("s"),)),
        gateway=structs.replace(settings.gateway, public_url="http://gateway.test"),
        reconciler=structs.replace(settings.reconciler, hooks_every_s=0.0),
    )
    service = Service("reconciler")
    async with service.resources:
        world = await compose(service, settings, house.bus, messengers=(tell,))
        sweeper = Reconciler(world, settings.reconciler)
        for _ in range(2):
            await sweeper.run_pass()
        (hook,) = house.gitea.repo(REPO).hooks.values()
        assert (hook.active, len(told)) == (True, 1)
        hook.active = False
        await sweeper.run_pass()
        (hook,) = house.gitea.repo(REPO).hooks.values()
        assert (hook.active, len(told)) == (True, 2)
    assert "was missing or inactive; it is registered again" in told[0]
