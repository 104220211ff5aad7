"""Notifications to several targets, the status that two engines show, and the monitor's window."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from conveyor.adapters.health_probe import HealthProbe
from conveyor.adapters.plane import PlaneTracker
from conveyor.adapters.webhook_out import WebhookOut
from conveyor.contracts.commands import CheckHealth, Notify, PostComment, SetStatus
from conveyor.contracts.errors import PermanentError, TransientError
from conveyor.contracts.events import IssueStarted, Origin
from conveyor.contracts.pipelines import default_pipeline
from conveyor.contracts.project import Project
from conveyor.contracts.streams import EFFECTS
from conveyor.contracts.task import Task
from conveyor.contracts.transition import TaskRecord
from conveyor.servicekit.bus import Bucket, Bus, TaskStore
from conveyor.simulator.plane.server import PlaneOptions, PlaneServer
from conveyor.stage_engine.effects.people import HealthEffect, NotifyEffect, Watching
from conveyor.stage_engine.effects.tracker import TrackerEffects
from conveyor.stage_engine.projects import Projects
from conveyor.stage_engine.settings import EngineSettings
from tests.rigs.web_end import WebEnd, web_end

Eventually = Callable[..., Awaitable[Any]]
AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SHOP = Project(name="shop", tracker_project_id="p", identifier="SHOP", repository="acme/shop")
HEAD: dict[str, Any] = {
    "command_id": "shop-SHOP-1-5-1",
    "project": "shop",
    "key": "SHOP-1",
    "revision": 5,
    "trace_id": "t",
    "issued_at": AT,
}
TASK = Task(
    project="shop",
    key="SHOP-1",
    issue_id="i",
    title="Tea",
    stage="deploy",
    created_at=AT,
    entered_at=AT,
    branch="b",
    revision=1,
)
TOLD = Notify(**HEAD, issue_id="i", text="SHOP-1: done.")


@pytest.fixture
async def chats(bus: Bus) -> AsyncIterator[tuple[WebEnd, WebEnd, NotifyEffect]]:
    """Two chats and what tells them."""
    async with AsyncExitStack() as stack:
        one, two = [await stack.enter_async_context(web_end()) for _ in range(2)]
        messengers = {name: WebhookOut(end.url, "generic") for name, end in (("one", one), ("two", two))}
        for messenger in messengers.values():
            stack.push_async_callback(messenger.close)
        yield one, two, NotifyEffect(dict(messengers), "http://plane/acme", Bucket(bus, EFFECTS))


Chats = tuple[WebEnd, WebEnd, NotifyEffect]


@pytest.mark.behaviour("SE-20")
async def test_a_notification_carries_the_link_and_is_sent_once(chats: Chats) -> None:
    one, two, effect = chats
    await effect.notify(TOLD, TASK)
    await effect.notify(TOLD, TASK)
    assert len(one.asked) == len(two.asked) == 1
    assert "SHOP-1: done." in one.asked[0][1]
    assert "http://plane/acme/browse/SHOP-1/" in one.asked[0][1]


@pytest.mark.behaviour("SE-20", "SE-21")
async def test_a_target_in_trouble_is_tried_again_alone(chats: Chats) -> None:
    one, two, effect = chats
    two.status, two.retry_after_s = 429, 7
    with pytest.raises(TransientError) as refused:
        await effect.notify(TOLD, TASK)
    assert refused.value.retry_after_s == 7
    two.status = 200
    await effect.notify(TOLD, TASK)
    assert len(one.asked) == 1
    assert [status for status, _ in two.asked] == [429, 200]


@pytest.mark.behaviour("SE-21")
async def test_a_target_that_hangs_delays_no_other(chats: Chats, eventually: Eventually) -> None:
    one, two, effect = chats
    two.hang()
    telling = asyncio.ensure_future(effect.notify(TOLD, TASK))
    await eventually(lambda: one.asked)
    assert not telling.done()
    two.go_on()
    await telling


@pytest.mark.behaviour("SE-21", "SE-13")
async def test_a_status_that_a_slower_engine_has_overwritten_is_set_right(bus: Bus) -> None:
    """The task shows Testing by the time Development has been set: what people see in the end is Testing."""
    async with PlaneServer(PlaneOptions(slug="acme", rate_limit=None)) as plane:
        project, bot = plane.create_project("Shop", "SHOP"), plane.add_user("Conveyor", is_bot=True)
        issue = plane.create_issue(project, "Tea")
        shop = structs.replace(SHOP, tracker_project_id=project.id)
        tracker = PlaneTracker(plane.url, plane.slug, bot.api_key)
        told = IssueStarted(
            **{name: HEAD[name] for name in ("project", "key", "trace_id")},
            event_id="e",
            at=AT,
            received_at=AT,
            source="plane",
            origin=Origin.WEBHOOK,
            issue_id=issue.id,
            title="Tea",
        )
        now = structs.replace(TASK, status="testing", issue_id=issue.id)
        await TaskStore(bus).commit(TaskRecord(task=now, event=told), 0)
        effects = TrackerEffects(Projects((shop,), {"default": default_pipeline()}), tracker, TaskStore(bus))
        older = SetStatus(**HEAD, issue_id=issue.id, status="development")
        await effects.set_status(older, now)
        assert not [one for one in plane.activities_of("SHOP-1") if one.field == "state"], (
            "a queued status that is no longer so is dropped"
        )
        await effects.set_status(older, structs.replace(now, status="development"))
        shown = [one.new_value for one in plane.activities_of("SHOP-1") if one.field == "state"]
        wanted = [(await tracker.resolve(project.id, key)).name for key in ("development", "testing")]
        assert (shown[-1:], plane.state_of("SHOP-1")) == (wanted[1:], wanted[1])
        await tracker.close()


@pytest.mark.behaviour("SE-21")
async def test_a_comment_is_said_once_in_each_life_of_its_task(bus: Bus) -> None:
    """A task that was forgotten and is begun anew gives its commands the ids of its former life."""
    async with PlaneServer(PlaneOptions(slug="acme", rate_limit=None)) as plane:
        project, bot = plane.create_project("Shop", "SHOP"), plane.add_user("Conveyor", is_bot=True)
        issue = plane.create_issue(project, "Tea")
        shop = structs.replace(SHOP, tracker_project_id=project.id)
        tracker = PlaneTracker(plane.url, plane.slug, bot.api_key)
        effects = TrackerEffects(Projects((shop,), {"default": default_pipeline()}), tracker, TaskStore(bus))
        first = PostComment(**HEAD, issue_id=issue.id, text="Conveyor has taken this issue.")
        again = structs.replace(first, issued_at=AT + timedelta(days=120))
        for command in (first, first, again, again):
            await effects.post_comment(command, TASK)
        assert len(plane.comments_of("SHOP-1")) == 2
        await tracker.close()


@dataclass
class Monitor:
    """A deployed system under watch, by a clock that is moved by hand."""

    system: WebEnd
    probe: HealthProbe
    clock: Any

    def begin(self) -> "asyncio.Future[dict[str, str]]":
        shop = structs.replace(SHOP, health_url=self.system.url)
        settings = EngineSettings(health_interval_s=10, health_threshold=3)
        watching = Watching(self.probe, self.clock, settings, asyncio.Event())
        effect = HealthEffect(Projects((shop,), {"default": default_pipeline()}), watching)
        return asyncio.ensure_future(effect.watch(CheckHealth(**HEAD, window_s=300), TASK))


@pytest.fixture
async def monitor(clock: Any) -> AsyncIterator[Monitor]:
    probe = HealthProbe()
    async with web_end() as system:
        yield Monitor(system, probe, clock)
        await probe.close()


@pytest.mark.behaviour("SE-18")
@pytest.mark.parametrize(("passed_s", "ends"), [(0, False), (299, False), (301, True)])
async def test_the_window_counts_from_the_command_whenever_the_engine_began_to_watch(
    monitor: Monitor, eventually: Eventually, passed_s: float, *, ends: bool
) -> None:
    await monitor.clock.advance(passed_s)
    watching = monitor.begin()
    await eventually(lambda: watching.done() or monitor.clock.sleepers)
    assert (watching.done(), len(monitor.system.asked)) == (ends, 1)
    watching.cancel()
    await asyncio.wait({watching})


@pytest.mark.behaviour("SE-18")
async def test_failures_below_the_threshold_are_forgiven_and_a_bad_end_is_asked_again(
    monitor: Monitor, eventually: Eventually
) -> None:
    clock, system = monitor.clock, monitor.system
    await clock.advance(301)
    system.status = 503
    watching = monitor.begin()
    await eventually(lambda: clock.sleepers)
    await clock.advance(10)
    await eventually(lambda: len(system.asked) == 2 and clock.sleepers)
    system.status = 200
    await clock.advance(10)
    assert await watching == {"healthy": "300 s"}


@pytest.mark.behaviour("SE-18")
async def test_failures_in_a_row_are_degraded(monitor: Monitor, eventually: Eventually) -> None:
    monitor.system.status = 500
    watching = monitor.begin()
    for asked in (1, 2):
        await eventually(lambda asked=asked: len(monitor.system.asked) == asked and monitor.clock.sleepers)
        await monitor.clock.advance(10)
    with pytest.raises(PermanentError, match="failed 3 times in a row"):
        await watching
