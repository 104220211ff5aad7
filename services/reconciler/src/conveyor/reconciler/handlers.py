"""The reconciler's shell: one pass over every project. It reads, asks the core what is missing, publishes that."""

from collections.abc import AsyncIterator
from datetime import datetime

import msgspec
from msgspec import Struct

from conveyor.contracts.errors import ConveyorError
from conveyor.contracts.events import AnyEvent, VerdictValue
from conveyor.contracts.observed import CiState, CiStatus, TrackerIssue
from conveyor.contracts.project import Project
from conveyor.contracts.task import Task
from conveyor.reconciler.core.diff import diff
from conveyor.reconciler.core.forge import CI_CHECK, ForgeView, missed_on_forge, waits_on_forge
from conveyor.reconciler.core.look import Pass, Sighting, is_suspect
from conveyor.reconciler.core.window import Mark, window
from conveyor.reconciler.ports import Events, Forge, Notes, Tasks, Tracker
from conveyor.reconciler.settings import ReconcilerSettings
from conveyor.servicekit import logs
from conveyor.servicekit.clock import Clock

CLOCK_MARGIN_S = 60.0
"""How far the tracker's clock and ours may be apart."""


class World(Struct, frozen=True, kw_only=True):
    """Whom the reconciler asks."""

    projects: tuple[Project, ...]
    tracker: Tracker
    forge: Forge
    events: Events
    tasks: Tasks
    notes: Notes
    clock: Clock
    own_user_id: str = ""
    """Our own account at the tracker; empty: asked for."""


class Report(Struct, kw_only=True):
    """What one pass did; written down for the console (RC-10)."""

    at: datetime
    duration_s: float = 0.0
    listed: int = 0
    """Issues read from the tracker's lists."""
    looked: int = 0
    """Issues and tasks that needed a closer look."""
    repaired: int = 0
    """Events published that nobody had stored before."""
    by_source: dict[str, int] = {}
    """The same by source: how much each one loses."""
    duplicates: int = 0
    """Events that were there already."""
    failed: int = 0
    """Projects, issues and tasks that could not be looked at."""
    found: list[AnyEvent] = []
    """What was missing; kept out of what is written down."""


class Reconciler:
    """Makes passes. Publishes events and changes no task itself (RC-1)."""

    def __init__(self, world: World, settings: ReconcilerSettings, *, is_dry: bool = False) -> None:
        self._world = world
        self._settings = settings
        self._is_dry = is_dry
        self._own_user_id = world.own_user_id
        self._log = logs.get("reconciler")

    async def run_pass(self) -> Report:
        """Look at every project once; one that fails does not stop the others (RC-6)."""
        began_s = self._world.clock.monotonic()
        report = Report(at=self._world.clock.now())
        for project in self._world.projects:
            try:
                await self._look_at(project, report)
            except ConveyorError as error:
                self._failed(report, project.name, error)
        report.duration_s = self._world.clock.monotonic() - began_s
        log = self._log.info if report.repaired or report.failed else self._log.debug
        log("pass made", repaired=report.repaired, looked=report.looked, listed=report.listed, failed=report.failed)
        if not self._is_dry:
            await self._world.notes.put("last_pass", msgspec.json.encode(msgspec.structs.replace(report, found=[])))
        return report

    async def _look_at(self, project: Project, report: Report) -> None:
        stored = await self._world.tasks.all(project.name)
        tasks = {found.record.task.key: found.record.task for found in stored}
        if self._settings.forge:
            await self._sweep_forge(project, tasks, report)
        if self._settings.tracker:
            await self._sweep_tracker(project, tasks, report)

    async def _sweep_tracker(self, project: Project, tasks: dict[str, Task], report: Report) -> None:
        failed_before = report.failed
        name = f"tracker.{project.name}"
        entry = await self._world.notes.get(name)
        mark = msgspec.json.decode(entry.value, type=Mark) if entry else None
        view = await self._view(project, tasks)
        reach_s = self._settings.grace_s + CLOCK_MARGIN_S
        reading = window(mark, view.now, reach_s, self._settings.full_every_s)
        async for issue in self._suspects(view, reading.since, report):
            await self._look_closer(view, issue, report)
        if report.failed == failed_before and not self._is_dry:
            await self._world.notes.put(name, msgspec.json.encode(reading.after))

    async def _view(self, project: Project, tasks: dict[str, Task]) -> Pass:
        tracker, project_id = self._world.tracker, project.tracker_project_id
        self._own_user_id = self._own_user_id or await tracker.me()
        spoken = {
            state.state_id: str(verdict)
            for verdict in VerdictValue
            if (state := await tracker.own_state(project_id, verdict))
        }
        return Pass(
            project=project,
            states=await tracker.states(project_id),
            spoken=spoken,
            tasks=tasks,
            own_user_id=self._own_user_id,
            now=self._world.clock.now(),
            grace_s=self._settings.grace_s,
        )

    async def _suspects(self, view: Pass, since: datetime, report: Report) -> AsyncIterator[TrackerIssue]:
        async for issue in self._world.tracker.changed_issues(view.project.tracker_project_id, since):
            report.listed += 1
            if is_suspect(view, issue):
                report.looked += 1
                yield issue

    async def _look_closer(self, view: Pass, issue: TrackerIssue, report: Report) -> None:
        try:
            move = await self._world.tracker.last_move(view.project.tracker_project_id, issue.issue_id)
            for event in diff(view, (Sighting(issue=issue, move=move),)):
                await self._publish(event, report)
        except ConveyorError as error:
            self._failed(report, issue.key, error)

    async def _sweep_forge(self, project: Project, tasks: dict[str, Task], report: Report) -> None:
        now = self._world.clock.now()
        for task in tasks.values():
            if not waits_on_forge(task, now, self._settings.grace_s):
                continue
            report.looked += 1
            try:
                event = missed_on_forge(await self._forge_view(project, task, now))
                if event is not None:
                    await self._publish(event, report)
            except ConveyorError as error:
                self._failed(report, task.key, error)

    async def _forge_view(self, project: Project, task: Task, now: datetime) -> ForgeView:
        forge, repo = self._world.forge, project.repository
        asks_ci = task.head and task.gate is not None and task.gate.check == CI_CHECK
        nothing = CiStatus(state=CiState.NONE)
        return ForgeView(
            project=project,
            task=task,
            now=now,
            head=await forge.branch_sha(repo, task.branch) or "",
            ci=await forge.ci_status(repo, task.head, project.required_contexts) if asks_ci else nothing,
            pull=await forge.pull_request(repo, task.pull_request) if task.pull_request else None,
        )

    async def _publish(self, event: AnyEvent, report: Report) -> None:
        report.found.append(event)
        if self._is_dry:
            return
        stored = await self._world.events.publish(event)
        if stored.duplicate:
            report.duplicates += 1
            return
        report.repaired += 1
        report.by_source[event.source] = report.by_source.get(event.source, 0) + 1
        with logs.bind(task=f"{event.project}/{event.key}", trace_id=event.trace_id):
            self._log.info("published again", kind=type(event).__name__, event_id=event.event_id)

    def _failed(self, report: Report, what: str, error: ConveyorError) -> None:
        report.failed += 1
        self._log.warning("could not look", what=what, reason=str(error))
