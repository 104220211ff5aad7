"""Reads the tracker down to the watermark, asks the core what the tasks have not heard, and hands that to the desk."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct, field, structs

from conveyor.contracts.events import VerdictValue
from conveyor.contracts.observed import LONG_AGO, TrackerIssue
from conveyor.contracts.project import Project
from conveyor.contracts.task import Task
from conveyor.reconciler.core.diff import diff
from conveyor.reconciler.core.look import TERMINAL_GROUPS, Pass, Sighting, Wants, is_young, wants
from conveyor.reconciler.core.vanished import tasks_of, unlisted, vanished
from conveyor.reconciler.core.window import Mark, Rhythm, window
from conveyor.reconciler.desk import Desk
from conveyor.reconciler.remembered import recall, remember
from conveyor.reconciler.report import Report
from conveyor.reconciler.settings import ReconcilerSettings
from conveyor.reconciler.sweep import Sweep, World, alone

MOST_OWED = 500
"""With more issues than that which could not be looked at, the tracker is away: the whole pass is made again."""


class Read(Struct, kw_only=True):
    """What one reading of a project's list leaves behind."""

    ended: set[str] = field(default_factory=set)
    """Keys of listed issues that have ended."""
    listed: set[str] = field(default_factory=set)
    """Ids of listed issues."""
    owed: set[str] = field(default_factory=set)
    """Ids of issues that could not be looked at."""


class TrackerSweep(Sweep):
    """The tracker's side of a pass (RC-2, RC-11)."""

    def __init__(self, world: World, settings: ReconcilerSettings, desk: Desk, *, is_dry: bool) -> None:
        super().__init__(world, settings, desk, is_dry=is_dry)
        self._looked: dict[str, dict[str, tuple[datetime, int]]] = {}
        """Project -> issue id -> the issue's time and its task's revision when it was last looked at closely: nothing
        is looked at twice."""
        self._keys: dict[str, str] = {}
        """Issue id -> key, of issues that block others."""
        self._own_user_id = ""

    async def mark(self, project: Project) -> Mark | None:
        """Return the project's watermark."""
        return await recall(self.world.notes, _mark_of(project), Mark)

    async def run(
        self, project: Project, tasks: Mapping[str, Task], report: Report, rhythm: Rhythm, *, is_full: bool
    ) -> set[str]:
        """Look at one project; return the keys of issues seen to have ended.

        The watermark moves once the list was read to its end; an issue that failed is owed to the next pass.
        """
        now, mark = self.world.clock.now(), await self.mark(project)
        reading = window(mark, now, rhythm, is_full=is_full)
        view = Pass(
            project=project,
            states=(),
            spoken={},
            tasks=tasks,
            own_user_id="",
            now=now,
            grace_s=self.settings.grace_s,
            since=reading.changed_since,
            owed=frozenset(mark.owed if mark else ()),
            hears_comments=self.settings.comments,
        )
        read = Read()
        view = await self._read(view, reading.since, read, report)
        if reading.is_full:
            await self._find_vanished(view, read, report)
        if not self.is_dry and len(read.owed) <= MOST_OWED:
            after = structs.replace(reading.after, owed=tuple(sorted(read.owed)))
            await remember(self.world.notes, _mark_of(project), after)
        return read.ended

    async def _read(self, view: Pass, since: datetime, read: Read, report: Report) -> Pass:
        """Read the list and what is owed; what statuses mean is asked for when there is an issue at all."""
        tracker, project_id = self.world.tracker, view.project.tracker_project_id
        async for issue in tracker.changed_issues(project_id, since):
            view = view if view.states else await self._knowing_states(view)
            report.listed += 1
            read.listed.add(issue.issue_id)
            if _has_ended(view, issue):
                read.ended.add(issue.key)
            await self._look_at(view, issue, read, report)
        for issue_id in view.owed - read.listed:
            await self._look_for(view, issue_id, read, report)
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
        return structs.replace(view, states=states, spoken=spoken, own_user_id=self._own_user_id)

    async def _look_for(self, view: Pass, issue_id: str, read: Read, report: Report) -> None:
        """Look at an issue that the list did not show; one that is gone ends its task."""
        read.owed.add(issue_id)
        with alone(report, f"issue {issue_id}"):
            view = view if view.states else await self._knowing_states(view)
            issue = await self.world.tracker.issue(view.project.tracker_project_id, issue_id)
            if issue is not None:
                await self._look_at(view, issue, read, report)
                return
            for task in tasks_of(view, issue_id):
                await self.publish(vanished(view, task), report)
            read.owed.discard(issue_id)

    async def _look_at(self, view: Pass, issue: TrackerIssue, read: Read, report: Report) -> None:
        wanted, looked = wants(view, issue), self._looked.setdefault(view.project.name, {})
        task = view.tasks.get(issue.key)
        as_it_is = (issue.updated_at, task.revision if task else 0)
        if wanted.anything and looked.get(issue.issue_id) == as_it_is:
            read.owed.discard(issue.issue_id)
            return
        read.owed.add(issue.issue_id)
        with alone(report, issue.key):
            seen = await self._closer(view, issue, wanted, report)
            for event in diff(view, (seen,)):
                await self.publish(event, report)
            is_told = seen.move is None or seen.move.state_id == issue.state_id
            if wanted.anything and is_told and issue.updated_at > LONG_AGO:
                looked[issue.issue_id] = as_it_is
            read.owed.discard(issue.issue_id)

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

    async def _find_vanished(self, view: Pass, read: Read, report: Report) -> None:
        """Look for what a whole list left out: it is gone, or the list shifted while it was read."""
        looked = self._looked.get(view.project.name, {})
        self._looked[view.project.name] = {one: as_it_was for one, as_it_was in looked.items() if one in read.listed}
        for task in unlisted(view, read.listed):
            report.looked += 1
            await self._look_for(view, task.issue_id, read, report)


def _has_ended(view: Pass, issue: TrackerIssue) -> bool:
    ended = {state.state_id for state in view.states if state.group in TERMINAL_GROUPS}
    return issue.state_id in ended and not is_young(view, issue)


def _mark_of(project: Project) -> str:
    return f"tracker.{project.name}"
