"""The reconciler against a real bus and simulated servers: what webhooks lost is published, and nothing else."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from conveyor.contracts.commands import GateCause
from conveyor.contracts.errors import PermanentError
from conveyor.contracts.events import (
    AnyEvent,
    CommitStatusChanged,
    GateState,
    IssueStarted,
    Origin,
    VerdictGiven,
    VerdictValue,
)
from conveyor.contracts.project import Project
from conveyor.contracts.task import GateWatch, Task, Waiting
from conveyor.contracts.transition import TaskRecord
from conveyor.reconciler.app import compose
from conveyor.reconciler.handlers import Reconciler, Report
from conveyor.reconciler.settings import ReconcilerSettings, Settings
from conveyor.servicekit.bus import Bus, EventLog, TaskStore
from conveyor.servicekit.clock import SYSTEM_CLOCK
from conveyor.servicekit.lifecycle import Service
from conveyor.servicekit.secret import Secret
from conveyor.servicekit.sections import GiteaSettings, PlaneSettings
from conveyor.simulator.gitea import GiteaServer
from conveyor.simulator.plane.server import PlaneServer
from conveyor.simulator.plane.world import Project as PlaneProject
from conveyor.simulator.plane.world import User

LONG_AGO_S = 1200.0


@dataclass(frozen=True)
class House:
    """The servers, the bus and a reconciler between them."""

    plane: PlaneServer
    gitea: GiteaServer
    bot: User
    shop: PlaneProject
    bus: Bus
    settings: Settings
    service: Service

    async def sweep(self, *, is_dry: bool = False, **settings: Any) -> Report:
        world = await compose(self.service, self.settings, self.bus)
        chosen = structs.replace(self.settings.reconciler, **settings)
        return await Reconciler(world, chosen, is_dry=is_dry).run_pass()

    async def events(self, key: str = "SHOP-1") -> list[AnyEvent]:
        history = await EventLog(self.bus).history("shop", key)
        return [event for _, _, event in history if not isinstance(event, Exception)]

    async def have_task(self, **fields: Any) -> Task:
        """A task that came to where it stands two hours ago."""
        then = SYSTEM_CLOCK.now() - timedelta(hours=2)
        values: dict[str, Any] = {
            "project": "shop",
            "key": "SHOP-1",
            "issue_id": self.plane.issue("SHOP-1").id,
            "title": "Sell tea",
            "stage": "analysis",
            "created_at": then,
            "entered_at": then,
            "since": then,
            "branch": "feature/SHOP-1-sell-tea",
            "waiting": Waiting.PERSON,
            "revision": 1,
        }
        task = Task(**values | fields)
        cause = IssueStarted(
            event_id="e0",
            project="shop",
            key="SHOP-1",
            at=then,
            received_at=then,
            source="plane",
            origin=Origin.WEBHOOK,
            trace_id="0" * 32,
            issue_id=task.issue_id,
            title=task.title,
        )
        await TaskStore(self.bus).commit(TaskRecord(task=task, event=cause), 0)
        return task

    def moved_quietly(self, state: str, *, by: User | None = None) -> None:
        """The card was moved long ago, and no webhook came."""
        self.plane.move_issue("SHOP-1", state, by=by, quietly=True)
        self.plane.backdate("SHOP-1", LONG_AGO_S)


@pytest.fixture
async def house(tmp_path: Path, bus: Bus) -> AsyncIterator[House]:
    async with PlaneServer() as plane, GiteaServer(tmp_path / "gitea") as gitea:
        shop = plane.create_project("Shop", "SHOP")
        bot = plane.add_user("Conveyor", is_bot=True)
        for login in ("acme", "conveyor"):
            gitea.create_user(login)
        await gitea.create_repo("acme/shop")
        gitea.add_collaborator("acme/shop", "conveyor")
        plane.create_issue(shop, "Sell tea", quietly=True)
        settings = Settings(
            plane=PlaneSettings(url=plane.url, workspace=plane.slug, api_key=Secret(bot.api_key)),
            gitea=GiteaSettings(url=gitea.url, token=Secret(gitea.create_token("conveyor"))),
            project=(
                Project(name="gone", tracker_project_id=bot.id, identifier="GONE", repository="acme/gone"),
                Project(name="shop", tracker_project_id=shop.id, identifier="SHOP", repository="acme/shop"),
            ),
            reconciler=ReconcilerSettings(),
        )
        service = Service("reconciler")
        async with service.resources:
            yield House(plane, gitea, bot, shop, bus, settings, service)


@pytest.mark.behaviour("RC-1", "RC-2", "RC-6")
async def test_a_lost_start_is_found_though_another_project_cannot_be_read(house: House) -> None:
    house.moved_quietly("To Analyse")
    report = await house.sweep()
    (event,) = await house.events()
    assert isinstance(event, IssueStarted)
    assert event.origin is Origin.RECONCILER
    assert event.actor is not None
    assert event.actor.actor_id == house.plane.owner.id
    assert (report.repaired, report.failed, report.by_source) == (1, 1, {"plane": 1})
    again = await house.sweep(full_every_s=0.0)
    assert (again.repaired, again.duplicates) == (0, 1)
    assert len(await house.events()) == 1


class Unreadable:
    """A tracker that refuses to tell about one issue; the rest it asks another."""

    def __init__(self, tracker: Any, issue_id: str) -> None:
        self._tracker = tracker
        self._issue_id = issue_id

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tracker, name)

    async def last_move(self, project_id: str, issue_id: str) -> Any:
        if issue_id == self._issue_id:
            raise PermanentError(f"issue {issue_id} cannot be read")
        return await self._tracker.last_move(project_id, issue_id)


@pytest.mark.behaviour("RC-6")
async def test_one_issue_that_cannot_be_read_stops_no_other_and_is_looked_at_again(house: House) -> None:
    house.plane.create_issue(house.shop, "Sell coffee", quietly=True)
    for key in ("SHOP-1", "SHOP-2"):
        house.plane.move_issue(key, "To Analyse", quietly=True)
        house.plane.backdate(key, LONG_AGO_S)
    world = await compose(house.service, house.settings, house.bus)
    broken = structs.replace(world, tracker=Unreadable(world.tracker, house.plane.issue("SHOP-2").id))
    report = await Reconciler(broken, house.settings.reconciler).run_pass()
    assert (report.repaired, report.failed) == (1, 2)
    assert (await Reconciler(world, house.settings.reconciler).run_pass()).repaired == 1
    assert [type(event) for event in await house.events("SHOP-2")] == [IssueStarted]


@pytest.mark.behaviour("RC-2", "SE-7")
async def test_a_lost_approval_is_found_with_who_gave_it_and_when(house: House) -> None:
    await house.have_task()
    ben = house.plane.add_user("Ben")
    house.moved_quietly("Approved", by=ben)
    house.plane.comment("SHOP-1", "by the way", quietly=True)
    house.plane.backdate("SHOP-1", LONG_AGO_S)
    await house.sweep()
    (event,) = await house.events()
    assert isinstance(event, VerdictGiven)
    (move,) = [line for line in house.plane.activities_of("SHOP-1") if line.field == "state"]
    assert (event.verdict, event.at) == (VerdictValue.APPROVED, move.created_at)
    assert event.actor is not None
    assert event.actor.actor_id == ben.id


@pytest.mark.behaviour("RC-6")
@pytest.mark.parametrize("state", ["In Progress", "Todo", "Approved", "Done"])
async def test_in_sync_nothing_is_published(state: str, house: House) -> None:
    """Without a task, only the start status asks for anything."""
    house.moved_quietly(state)
    report = await house.sweep()
    assert (report.repaired, report.looked, await house.events()) == (0, 0, [])


async def test_our_own_move_is_no_start(house: House) -> None:
    house.moved_quietly("To Analyse", by=house.bot)
    assert (await house.sweep()).repaired == 0


async def test_a_move_that_is_too_young_is_left_to_its_webhook_and_found_in_a_later_pass(house: House) -> None:
    house.plane.move_issue("SHOP-1", "To Analyse", quietly=True)
    assert (await house.sweep()).repaired == 0
    assert (await house.sweep(grace_s=0.0)).repaired == 1


@pytest.mark.behaviour("RC-9")
async def test_a_pass_reads_what_changed_and_not_what_exists(house: House) -> None:
    for number in range(5):
        house.plane.create_issue(house.shop, f"Issue {number}", quietly=True)
    for key in ("SHOP-1", "SHOP-2", "SHOP-3", "SHOP-4", "SHOP-5"):
        house.plane.backdate(key, 7200)
    assert (await house.sweep()).listed == 6
    assert (await house.sweep()).listed == 1
    assert (await house.sweep(full_every_s=0.0)).listed == 6


@pytest.mark.behaviour("RC-12")
async def test_a_dry_run_tells_and_changes_nothing(house: House) -> None:
    house.moved_quietly("To Analyse")
    report = await house.sweep(is_dry=True)
    assert [type(event) for event in report.found] == [IssueStarted]
    assert await house.events() == []


@pytest.mark.behaviour("RC-3")
async def test_a_lost_ci_result_reaches_the_task_that_waits_for_it(house: House) -> None:
    with house.gitea.quietly():
        sha = await house.gitea.push("acme/shop", "feature/SHOP-1-sell-tea", {"a.txt": "a"})
        await house.gitea.set_status("acme/shop", sha, "ci/test", "failure")
    gate = GateWatch(gate_id="g", cause=GateCause.AGENT, sha=sha, state=GateState.PENDING, check="ci_green")
    await house.have_task(stage="development", waiting=Waiting.FACTS, head=sha, gate=gate)
    report = await house.sweep()
    (event,) = await house.events()
    assert isinstance(event, CommitStatusChanged)
    assert (event.sha, event.state) == (sha, "red")
    assert report.by_source == {"gitea": 1}
