"""Asks the forge about tasks that wait on it, and nudges those whose gate would answer otherwise by now."""

from collections.abc import Mapping

from conveyor.contracts.errors import ConveyorError
from conveyor.contracts.observed import CiState, CiStatus
from conveyor.contracts.project import Project
from conveyor.contracts.task import Task
from conveyor.reconciler.core.forge import (
    ForgeView,
    Questions,
    is_abandoned,
    missed_on_forge,
    pushed_again,
    questions,
)
from conveyor.reconciler.core.orphans import leftovers
from conveyor.reconciler.core.stall import GUARDED, Guard, guarded, may_stall, nudge, stalled
from conveyor.reconciler.report import Report
from conveyor.reconciler.sweep import Sweep, alone

_SILENT = CiStatus(state=CiState.NONE)


class ForgeSweep(Sweep):
    """The forge's side of a pass, and the stall sweep (RC-3, RC-4, RC-5)."""

    _own_login: str = ""

    async def run(self, project: Project, tasks: Mapping[str, Task], report: Report) -> None:
        """Look at every task of a project that is worth a call; one that fails stops no other."""
        now = self.world.clock.now()
        for task in tasks.values():
            asked = questions(task, now, self.settings.grace_s) if self.settings.forge else Questions()
            grace_s = self.settings.stage_grace_s.get(task.stage, self.settings.grace_s)
            stalls = self.settings.stalls and may_stall(task, now, grace_s)
            if not asked.anything and not stalls:
                continue
            report.looked += 1
            with alone(report, task.key):
                await self._look_at(project, task, asked, report, stalls=stalls)

    async def find_leftovers(self, project: Project, tasks: Mapping[str, Task], report: Report) -> None:
        """Name the branches of tasks that ended long ago: whether they may go is for people to say (SE-17)."""
        now = self.world.clock.now()
        with alone(report, f"branches of {project.repository}"):
            report.calls += 1
            found = leftovers(tasks.values(), await self.world.forge.branches(project.repository), now)
            report.branches = {**report.branches, project.name: found}

    async def _look_at(self, project: Project, task: Task, asked: Questions, report: Report, *, stalls: bool) -> None:
        report.calls += asked.count
        view = await self._view(project, task, asked)
        missed = missed_on_forge(view)
        for event in missed:
            if not await self.publish(event, report) and (again := pushed_again(event, task)) and not self.is_dry:
                await self.publish(again, report)
        if stalls and not missed:
            await self._nudge(view, report)

    async def _view(self, project: Project, task: Task, asked: Questions) -> ForgeView:
        forge, repo = self.world.forge, project.repository
        if asked.reviews:
            self._own_login = self._own_login or self.world.own_login or await forge.me()
        pull = await forge.pull_request(repo, task.pull_request) if asked.pull else None
        return ForgeView(
            project=project,
            task=task,
            now=self.world.clock.now(),
            own_login=self._own_login,
            head=(await forge.branch_sha(repo, task.branch) or "") if asked.head else "",
            ci=await forge.ci_status(repo, task.head, project.required_contexts) if asked.ci else _SILENT,
            pull=pull,
            reviews=await forge.reviews(repo, task.pull_request) if asked.reviews else (),
            found=await forge.find_pull_request(repo, task.branch, project.target_branch)
            if asked.search or is_abandoned(pull)
            else None,
        )

    async def _nudge(self, view: ForgeView, report: Report) -> None:
        """Nudge when something differs and nobody is waited for: what is free is asked first, the tracker last."""
        stall = stalled(view)
        if stall is None or await self._was_nudged(view.task, stall.fingerprint):
            return
        why_not = await self._guarded(view)
        if why_not:
            report.guarded += 1
            self._log.debug("left alone", task=view.task.key, reason=why_not)
            return
        await self.publish(nudge(view.task, stall, view.now), report)
        if not self.is_dry:  # only now: noted before, it would be lost for good by a crash in between
            await self.world.notes.put(_nudge_of(view.task), stall.fingerprint.encode())

    async def _was_nudged(self, task: Task, fingerprint: str) -> bool:
        entry = await self.world.notes.get(_nudge_of(task))
        return entry is not None and entry.value == fingerprint.encode()

    async def _guarded(self, view: ForgeView) -> str:
        """Ask the tracker, once; while it cannot be asked the task is left alone."""
        if not self.settings.blocked_guard:
            return ""
        tracker, project_id = self.world.tracker, view.project.tracker_project_id
        grace_s = self.settings.stage_grace_s.get(view.task.stage, self.settings.grace_s)
        try:
            issue = await tracker.issue(project_id, view.task.issue_id)
            states = await tracker.states(project_id)
            own = {state.state_id: key for key in GUARDED if (state := await tracker.own_state(project_id, key))}
        except ConveyorError as error:
            return f"the tracker cannot be asked: {error}"
        return guarded(Guard(issue=issue, states=states, own=own), view.now, grace_s)


def _nudge_of(task: Task) -> str:
    return f"nudged.{task.project}.{task.key}"
