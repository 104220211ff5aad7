"""Effects on the tracker: the latest status only, and comments that are said once."""

from conveyor.contracts import ids
from conveyor.contracts.commands import PostComment, SetStatus
from conveyor.contracts.task import Task
from conveyor.servicekit import logs
from conveyor.servicekit.bus import TaskStore
from conveyor.stage_engine.ports import Tracker
from conveyor.stage_engine.projects import Projects

log = logs.get("tracker")


class TrackerEffects:
    """Shows stages and speaks on issues."""

    def __init__(self, projects: Projects, tracker: Tracker, tasks: TaskStore) -> None:
        self._projects = projects
        self._tracker = tracker
        self._tasks = tasks

    async def set_status(self, command: SetStatus, task: Task) -> None:
        """Show the status unless the task shows another by now: an older queued one is dropped (rule 6).

        The task is read once more afterwards: of two engines the slower may have overwritten what the other showed.
        """
        if task.status != command.status:
            log.info("drops an older status", task=task.key, dropped=command.status, current=task.status)
            return
        project = self._projects.project(command.project)
        shown, current = "", command.status
        while current and current != shown:
            state = await self._tracker.resolve(project.tracker_project_id, current)
            await self._tracker.set_state(project.tracker_project_id, command.issue_id, state.state_id)
            shown, current = current, await self._status_of(task)

    async def _status_of(self, task: Task) -> str:
        stored = await self._tasks.load(task.project, task.key)
        return stored.record.task.status if stored else ""

    async def post_comment(self, command: PostComment, task: Task) -> None:  # noqa: ARG002 # one signature for all
        """Say it once: its marker is command and time, since a forgotten task that begins anew counts from 1."""
        project = self._projects.project(command.project)
        marker = f"conveyor:{command.command_id}:{ids.stamp(command.issued_at)}"
        await self._tracker.comment(project.tracker_project_id, command.issue_id, command.text, marker)
