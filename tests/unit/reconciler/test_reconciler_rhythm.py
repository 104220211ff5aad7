"""When passes are made, what they count, and that a full house stays below the tracker's rate limit (RC-1, RC-9)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from msgspec import structs

from conveyor.adapters.plane import RateLimiter
from conveyor.contracts.errors import TransientError
from conveyor.contracts.observed import TrackerIssue
from conveyor.contracts.project import Project
from conveyor.contracts.task import Task
from conveyor.reconciler.core.losses import Account
from conveyor.reconciler.core.orphans import leftovers
from conveyor.reconciler.figures import Figures
from conveyor.reconciler.handlers import Reconciler
from conveyor.reconciler.leading import Sweeps
from conveyor.reconciler.patience import PatientLimiter
from conveyor.reconciler.report import Report
from conveyor.reconciler.settings import ReconcilerSettings
from conveyor.reconciler.shelf import Shelf
from conveyor.servicekit.metrics import Metrics
from conveyor.servicekit.sections import PlaneSettings
from tests.unit.reconciler.fakes import Bus, Tracker, world_of
from tests.unit.reconciler.worlds import NOW, in_sync

Eventually = Callable[..., Awaitable[Any]]
INTERVAL_S = 0.05


class Slow:
    """Makes passes that take a while, and of which every second fails."""

    def __init__(self) -> None:
        self.spans: list[tuple[float, float]] = []

    async def run_pass(self) -> Report:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        await asyncio.sleep(INTERVAL_S)  # waits: a pass takes time
        self.spans.append((began_s, loop.time()))
        if len(self.spans) % 2:
            raise TransientError("the bus went away")
        return Report(at=NOW)


@pytest.mark.behaviour("RC-1", "RC-6")
async def test_passes_come_at_their_interval_never_two_at_once_and_a_failed_one_stops_none(
    eventually: Eventually,
) -> None:
    passes, stopping = Slow(), asyncio.Event()
    sweeps = Sweeps(lambda: passes, Figures(Metrics("reconciler")), INTERVAL_S, stopping)
    leading = asyncio.create_task(sweeps.lead(1))
    await eventually(lambda: len(passes.spans) >= 5)
    stopping.set()
    await leading
    assert all(later[0] - earlier[1] >= INTERVAL_S * 0.9 for earlier, later in pairwise(passes.spans))
    assert ReconcilerSettings().interval_s == 120


async def test_each_term_of_a_leader_begins_with_nothing_remembered() -> None:
    begun: list[Slow] = []

    def begin() -> Slow:
        begun.append(Slow())
        return begun[-1]

    stopping = asyncio.Event()
    sweeps = Sweeps(begin, Figures(Metrics("reconciler")), 60.0, stopping)
    for _ in range(2):
        term = asyncio.create_task(sweeps.lead(1))
        await asyncio.sleep(0)
        term.cancel()
        await asyncio.wait({term})
    assert len(begun) == 2


@pytest.mark.behaviour("RC-11")
def test_figures_tell_by_source_what_was_repaired_how_late_and_how_much_is_lost() -> None:
    metrics = Metrics("reconciler")
    figures = Figures(metrics)
    losses = {"plane": Account(arrived=6, repaired=2, in_a_row=3), "gitea": Account(arrived=5)}
    figures.count(Report(at=NOW, late_s={"plane": [700.0, 4000.0], "gitea": [0.0]}, losses=losses, calls=7))
    page = metrics.page().decode()
    for line in (
        'conveyor_reconciler_repaired_total{source="plane"} 2.0',
        'conveyor_reconciler_repaired_total{source="gitea"} 1.0',
        'conveyor_reconciler_repair_lateness_seconds_bucket{le="720.0",source="plane"} 1.0',
        'conveyor_reconciler_repair_lateness_seconds_count{source="plane"} 2.0',
        'conveyor_reconciler_loss_ratio{source="plane"} 0.25',
        'conveyor_reconciler_source_silent{source="plane"} 1.0',
        'conveyor_reconciler_source_silent{source="gitea"} 0.0',
        "conveyor_reconciler_calls_total 7.0",
    ):
        assert line in page
    assert 'lateness_seconds_count{source="gitea"}' not in page
    figures.forget()
    assert "source_silent{" not in metrics.page().decode()


@pytest.mark.behaviour("RC-10")
def test_only_branches_of_tasks_that_ended_long_ago_are_left_over(make_task: Callable[..., Task]) -> None:
    def ended(days: int, branch: str) -> Task:
        return make_task(stage="done", waiting="", ended_at=NOW - timedelta(days=days), branch=branch)

    tasks = [ended(8, "feature/SHOP-1-a"), ended(6, "feature/SHOP-2-b"), ended(9, "gone"), make_task(branch="open")]
    assert leftovers(tasks, ("main", "feature/SHOP-1-a", "feature/SHOP-2-b", "open"), NOW) == ["feature/SHOP-1-a"]


class Metered(Tracker):
    """A tracker each of whose answers costs a call; notes when."""

    def __init__(self, issues: list[TrackerIssue], limiter: PatientLimiter) -> None:
        super().__init__(issues)
        self._limiter = limiter

    async def changed_issues(self, project_id: str, since: datetime) -> AsyncIterator[TrackerIssue]:
        await self._limiter.take("listing")
        async for issue in super().changed_issues(project_id, since):
            yield issue

    async def comments(self, project_id: str, issue_id: str) -> Any:
        await self._limiter.take("comments")
        return await super().comments(project_id, issue_id)

    async def relations(self, project_id: str, issue_id: str) -> Any:
        await self._limiter.take("relations")
        return await super().relations(project_id, issue_id)


class Counted(RateLimiter):
    """The limiter of one key, which notes when each call was made."""

    def __init__(self, clock: Any) -> None:
        super().__init__(monotonic=clock.monotonic, sleep=clock.sleep)
        self.at_s: list[float] = []
        self._clock = clock

    async def take(self, doing: str, leaving: Any = None) -> None:
        await super().take(doing, leaving)
        self.at_s.append(self._clock.monotonic())


@pytest.mark.behaviour("RC-9")
async def test_fifty_projects_and_the_effects_of_the_same_key_stay_below_sixty_calls_a_minute(
    project: Project, clock: Any
) -> None:
    """Polling waits for its turn, and leaves the effects theirs: none is put off, none waits for long."""
    clock = type(clock)(NOW)
    limiter = Counted(clock)
    patient = PatientLimiter(limiter.leaving(PlaneSettings().reserve_per_minute), clock)
    tasks, issues = in_sync(24)
    projects = tuple(structs.replace(project, name=f"shop-{number}") for number in range(50))
    world = world_of(project, issues, Bus(tasks), projects=projects, tracker=Metered(issues, patient), clock=clock)
    reports: list[Report] = []
    waited_s: list[float] = []

    async def polling() -> None:
        reconciler = Reconciler(world, ReconcilerSettings())
        while True:
            reports.append(await reconciler.run_pass())
            await clock.sleep(ReconcilerSettings().interval_s)

    async def effects() -> None:
        while True:
            asked_s = clock.monotonic()
            await limiter.take("an effect")
            waited_s.append(clock.monotonic() - asked_s)
            await clock.sleep(5.0)

    both = [asyncio.create_task(polling()), asyncio.create_task(effects())]
    for _ in range(2 * 3600):
        await clock.advance(1.0)
    for one in both:
        one.cancel()
    await asyncio.wait(both)
    made = limiter.at_s
    busiest = max(sum(at <= other < at + 60 for other in made[first : first + 61]) for first, at in enumerate(made))
    assert 40 < busiest <= 60
    assert len(reports) > 10
    assert {report.failed for report in reports} == {0}
    assert (len(waited_s) > 1200, max(waited_s) < 5.0) == (True, True)


@pytest.mark.behaviour("RC-9")
async def test_after_the_first_reading_only_tasks_that_changed_are_read_and_now_and_then_all(
    make_task: Callable[..., Task], clock: Any
) -> None:
    bus = Bus([make_task(), make_task(key="SHOP-2"), make_task(key="CAFE-1", project="cafe")])
    shelf = Shelf(bus, 3600.0, clock)
    assert set(await shelf.of("shop")) == {"SHOP-1", "SHOP-2"}
    bus.store(make_task(stage="development"))
    assert (await shelf.of("shop"))["SHOP-1"].stage == "development"
    assert (set(await shelf.of("cafe")), set(await shelf.of("none")), bus.wholes) == ({"CAFE-1"}, set(), 1)
    del bus.stored[1]
    await clock.advance(3600)
    assert (set(await shelf.of("shop")), bus.wholes) == ({"SHOP-1"}, 2)
