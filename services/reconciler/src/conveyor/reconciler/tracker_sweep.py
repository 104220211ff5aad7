"""Reads the tracker down to the watermark, asks the core what the tasks have not heard, and hands that to the desk."""

from collections.abc import Mapping
from datetime import datetime

import msgspec
from msgspec import Struct, field

from conveyor.contracts.errors import ConveyorError
from conveyor.contracts.events import VerdictValue
from conveyor.contracts.observed import TrackerIssue
from conveyor.contracts.project import Project
from conveyor.contracts.task import Task
from conveyor.reconciler.core.diff import diff
from conveyor.reconciler.core.look import TERMINAL_GROUPS, Pass, Sighting, Wants, is_young, wants
from conveyor.reconciler.core.vanished import unlisted, vanished
from conveyor.reconciler.core.window import Mark, Rhythm, window
from conveyor.reconciler.desk import Desk
from conveyor.reconciler.report import Report
from conveyor.reconciler.settings import ReconcilerSettings
from conveyor.reconciler.sweep import Sweep, World


class Read(Struct, kw_only=True):
    """What one reading of a project's list leaves behind."""

    ended: set[str] = field(default_factory=set)
    """Keys of listed issues that have ended."""
    listed: set[str] = field(default_factory=set)
    """Ids of listed issues; filled by a whole list only."""


class TrackerSweep(Sweep):
    """The tracker's side of a pass (RC-2, RC-11)."""

    def __init__(self, world: World, settings: ReconcilerSettings, desk: Desk, *, is_dry: bool) -> None:
        super().__init__(world, settings, desk, is_dry=is_dry)
        self._looked: dict[str, datetime] = {}
        """Issue id -> its `updated_at` when it was last looked at closely: nothing is looked at twice."""
        self._keys: dict[str, str] = {}
        """Issue id -> key, of issues that block others."""
        self._own_user_id = ""

    async def mark(self, project: Project) -> Mark | None:
        """Return the project's watermark."""
        entry = await self.world.notes.get(_mark_of(project))
        return msgspec.json.decode(entry.value, type=Mark) if entry else None

    async def run(
        self, project: Project, tasks: Mapping[str, Task], report: Report, rhythm: Rhythm, *, is_full: bool
    ) -> set[str]:
        """Look at one project; return the keys of issues seen to have ended. The watermark moves if nothing failed."""
        failed_before = report.failed
        now = self.world.clock.now()
        reading = window(await self.mark(project), now, rhythm, is_full=is_full)
        view = Pass(
            project=project,
            states=(),
            spoken={},
            tasks=tasks,
            own_user_id="",
            now=now,
            grace_s=self.settings.grace_s,
            since=reading.changed_since,
            hears_comments=self.settings.comments,
        )
        read = Read()
        view = await self._read(view, reading.since, read, report)
        if reading.is_full:
            await self._find_vanished(view, read.listed, report)
        if report.failed == failed_before and not self.is_dry:
            await self.world.notes.put(_mark_of(project), msgspec.json.encode(reading.after))
        return read.ended

    async def _read(self, view: Pass, since: datetime, read: Read, report: Report) -> Pass:
        """Read the list; what a project's statuses mean is asked for when there is an issue at all."""
        is_full = view.since is None or since < view.since
        async for issue in self.world.tracker.changed_issues(view.project.tracker_project_id, since):
            if not view.states:
                view = await self._knowing_states(view)
            report.listed += 1
            if is_full:
                read.listed.add(issue.issue_id)
            if _has_ended(view, issue):
                read.ended.add(issue.key)
            await self._look_at(view, issue, report)
        return view

    async def _knowing_states(self, view: Pass) -> Pass:
        tracker, project_id = self.world.tracker, view.project.tracker_project_id
        self._own_user_id = self._own_user_id or self.world.own_user_id or await tracker.me()
        spoken = {
            state.state_id: str(verdict)
            for verdict in VerdictValue
            if (state := await tracker.own_state(project_id, verdict))
        }
        states = await tracker.states(project_id)
        return msgspec.structs.replace(view, states=states, spoken=spoken, own_user_id=self._own_user_id)

    async def _look_at(self, view: Pass, issue: TrackerIssue, report: Report) -> None:
        wanted = wants(view, issue)
        if wanted.anything and self._looked.get(issue.issue_id) == issue.updated_at:
            return
        try:
            seen = await self._closer(view, issue, wanted, report)
            for event in diff(view, (seen,)):
                await self.publish(event, report)
            if wanted.anything and (seen.move is None or seen.move.state_id == issue.state_id):
                self._looked[issue.issue_id] = issue.updated_at
        except ConveyorError as error:
            self.failed(report, issue.key, error)

    async def _closer(self, view: Pass, issue: TrackerIssue, wanted: Wants, report: Report) -> Sighting:
        if not wanted.anything:
            return Sighting(issue=issue)
        report.looked += 1
        tracker, project_id = self.world.tracker, view.project.tracker_project_id
        return Sighting(
            issue=issue,
            move=await tracker.last_move(project_id, issue.issue_id) if wanted.move else None,
            comments=await tracker.comments(project_id, issue.issue_id) if wanted.comments else (),
            blockers=await self._blockers(view, issue) if wanted.blockers else None,
        )

    async def _blockers(self, view: Pass, issue: TrackerIssue) -> tuple[str, ...]:
        """Return the keys of what blocks an issue; one that cannot be read blocks nothing."""
        project_id = view.project.tracker_project_id
        known = {task.issue_id: task.key for task in view.tasks.values()}
        keys = []
        for issue_id in await self.world.tracker.relations(project_id, issue.issue_id):
            key = known.get(issue_id) or self._keys.get(issue_id)
            if key is None:
                other = await self.world.tracker.issue(project_id, issue_id)
                key = self._keys[issue_id] = other.key if other else ""
            keys.append(key)
        return tuple(key for key in keys if key)

    async def _find_vanished(self, view: Pass, listed: set[str], report: Report) -> None:
        self._looked = {issue_id: at for issue_id, at in self._looked.items() if issue_id in listed}
        for task in unlisted(view, listed):
            report.looked += 1
            try:
                if await self.world.tracker.issue(view.project.tracker_project_id, task.issue_id) is None:
                    await self.publish(vanished(view, task), report)
            except ConveyorError as error:
                self.failed(report, task.key, error)


def _has_ended(view: Pass, issue: TrackerIssue) -> bool:
    ended = {state.state_id for state in view.states if state.group in TERMINAL_GROUPS}
    return issue.state_id in ended and not is_young(view, issue)


def _mark_of(project: Project) -> str:
    return f"tracker.{project.name}"
