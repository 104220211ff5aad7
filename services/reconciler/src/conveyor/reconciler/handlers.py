"""The reconciler's shell: one pass over every project. It reads, asks the core what is missing, publishes that."""

from msgspec import Struct, field, structs

from conveyor.contracts.project import Project
from conveyor.contracts.task import Task
from conveyor.reconciler.core.dependencies import released
from conveyor.reconciler.core.orphans import orphans
from conveyor.reconciler.core.window import Rhythm, due_for_all
from conveyor.reconciler.desk import Desk
from conveyor.reconciler.forge_sweep import ForgeSweep
from conveyor.reconciler.remembered import recall, remember
from conveyor.reconciler.report import LAST, Report
from conveyor.reconciler.settings import ReconcilerSettings
from conveyor.reconciler.shelf import Shelf
from conveyor.reconciler.sweep import World, alone
from conveyor.reconciler.tracker_sweep import TrackerSweep
from conveyor.servicekit import logs

__all__ = ["LAST", "Reconciler", "Report", "World"]
CLOCK_MARGIN_S = 60.0
"""How far the tracker's clock and ours may be apart."""


class Swept(Struct, kw_only=True):
    """What was seen of all projects together, for the dependencies between them."""

    tasks: dict[str, Task] = field(default_factory=dict)
    """By key."""
    ended: set[str] = field(default_factory=set)
    """Keys of issues that the tracker shows as ended."""


class Reconciler:
    """Makes passes. Publishes events and changes no task itself (RC-1)."""

    def __init__(self, world: World, settings: ReconcilerSettings, *, is_dry: bool = False) -> None:
        self._world = world
        self._settings = settings
        self._is_dry = is_dry
        messengers = world.messengers if settings.announce else ()
        self._shelf = Shelf(world.tasks, settings.full_every_s, world.clock)
        self._desk = Desk(world.events, world.tasks, world.notes, messengers)
        self._tracker = TrackerSweep(world, settings, self._desk, is_dry=is_dry)
        self._forge = ForgeSweep(world, settings, self._desk, is_dry=is_dry)
        reach_s = settings.grace_s + settings.interval_s + CLOCK_MARGIN_S
        self._rhythm = Rhythm(interval_s=settings.interval_s, full_every_s=settings.full_every_s, reach_s=reach_s)
        self._last: Report | None = None
        self._orphans: set[str] = set()
        """Runs of which the log knows already that nobody runs them."""
        self._log = logs.get("reconciler")

    async def run_pass(self) -> Report:
        """Look at every project once; one that fails does not stop the others (RC-6)."""
        began_s, calls = self._world.clock.monotonic(), self._world.calls()
        report = await self._begin()
        swept = await self._sweep(report)
        await self._release(swept, report)
        await self._look_around(swept.tasks, report)
        report.duration_s = self._world.clock.monotonic() - began_s
        report.calls += self._world.calls() - calls
        self._log.debug("pass made", **_counts(report))
        if not self._is_dry:
            await remember(self._world.notes, LAST, structs.replace(report, found=[], late_s={}))
        self._last = report
        return report

    async def _look_around(self, tasks: dict[str, Task], report: Report) -> None:
        """Runs whose runner is gone, and the senders of webhooks; neither failing stops anything (RC-6)."""
        with alone(report, "runners"):
            if self._world.runners is not None:
                there, now = await self._world.runners(), self._world.clock.now()
                report.orphans = orphans(tasks.values(), there, now, self._settings.grace_s)
                self._tell_orphans(report.orphans)
        with alone(report, "webhooks"):
            if self._world.watch is not None and not self._is_dry:
                await self._world.watch.look(report)

    def _tell_orphans(self, found: list[str]) -> None:
        for run_id in set(found) - self._orphans:
            self._log.warning("a run without its runner", run_id=run_id, hint="cancel the task to end its wait")
        self._orphans = set(found)

    async def _begin(self) -> Report:
        report = Report(at=self._world.clock.now())
        if self._last is None:
            self._last = await recall(self._world.notes, LAST, Report) or report
        report.last_repaired, report.last_repaired_at = self._last.last_repaired, self._last.last_repaired_at
        report.branches = self._last.branches
        return report

    async def _sweep(self, report: Report) -> Swept:
        """Look at every project."""
        swept = Swept()
        marks = {project.name: await self._tracker.mark(project) for project in self._world.projects}
        full = due_for_all(marks, report.at, self._rhythm)
        for project in self._world.projects:
            with alone(report, project.name):
                await self._look_at(project, swept, report, is_full=project.name in full)
        return swept

    async def _look_at(self, project: Project, swept: Swept, report: Report, *, is_full: bool) -> None:
        tasks = await self._shelf.of(project.name)
        swept.tasks.update(tasks)
        report.ended += sum(task.is_over for task in tasks.values())
        if not self._is_dry:
            with alone(report, f"what to tell of {project.name}"):
                await self._desk.announce(project.name, tasks, report)
        await self._forge.run(project, tasks, report)
        if self._settings.tracker:
            swept.ended |= await self._tracker.run(project, tasks, report, self._rhythm, is_full=is_full)
            if is_full and self._settings.forge:
                await self._forge.find_leftovers(project, tasks, report)

    async def _release(self, swept: Swept, report: Report) -> None:
        """The backstop of dependencies: circles, and what ended without its dependents being told (RC-10)."""
        for event in released(swept.tasks, swept.ended, self._world.clock.now(), self._settings.grace_s):
            with alone(report, event.key):
                await self._desk.publish(event, report, is_dry=self._is_dry)


def _counts(report: Report) -> dict[str, int]:
    names = ("calls", "listed", "looked", "ended", "guarded", "repaired", "duplicates", "failed")
    return {name: getattr(report, name) for name in names}
