"""Effects inside Conveyor: what tasks wait for each other is looked at, and a run that is not wanted is stopped."""

from conveyor.contracts import ids, subjects
from conveyor.contracts.circles import circle_of
from conveyor.contracts.commands import AnyCommand, CancelRun, CheckDependencies, ReleaseDependents
from conveyor.contracts.events import DependencyChanged
from conveyor.contracts.task import Task
from conveyor.servicekit import logs
from conveyor.servicekit.bus import Bus, EventLog, TaskStore, ask
from conveyor.servicekit.clock import Clock
from conveyor.stage_engine.ports import Tracker
from conveyor.stage_engine.projects import Projects
from conveyor.stage_engine.telling import header

log = logs.get("dependencies")
CANCEL_TIMEOUT_S = 5.0


class DependencyEffects:
    """Finds out which dependencies are open and who waited for a task that has ended (SE-15)."""

    def __init__(self, events: EventLog, tasks: TaskStore, projects: Projects, tracker: Tracker, clock: Clock) -> None:
        self._events = events
        self._tasks = tasks
        self._projects = projects
        self._tracker = tracker
        self._clock = clock

    async def check(self, command: CheckDependencies, task: Task) -> None:
        """Publish which of the task's dependencies are open and whether they go in a circle."""
        known = await self._known(command.project)
        await self._tell(command, task, known)

    async def release(self, command: ReleaseDependents, task: Task) -> None:
        """Look again at every task that waits for this one."""
        known = await self._known(command.project)
        for other in known.values():
            if task.key in other.depends_on and not other.is_over:
                await self._tell(command, other, known)

    async def _known(self, project: str) -> dict[str, Task]:
        return {stored.record.task.key: stored.record.task for stored in await self._tasks.all(project)}

    async def _tell(self, command: AnyCommand, task: Task, known: dict[str, Task]) -> None:
        still_open = tuple([key for key in task.depends_on if await self._is_open(task.project, key, known)])
        event_id = ids.digest("engine", command.command_id, "dependencies", task.key)
        await self._events.publish(
            DependencyChanged(
                **{**header(command, event_id, self._clock.now()), "key": task.key},
                depends_on=task.depends_on,
                open_keys=still_open,
                cycle=circle_of(task.key, {key: other.depends_on for key, other in known.items() if not other.is_over}),
            )
        )

    async def _is_open(self, project_name: str, key: str, known: dict[str, Task]) -> bool:
        if key in known:
            return not known[key].is_over
        issue = await self._tracker.issue_by_key(key)
        if issue is None:
            log.warning("a dependency does not exist and is taken as met", project=project_name, dependency=key)
            return False
        states = await self._tracker.states(self._projects.project(project_name).tracker_project_id)
        ended = {state.state_id for state in states if state.group in ("completed", "cancelled")}
        return issue.state_id not in ended


class RunEffects:
    """Stops runs."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def cancel(self, command: CancelRun, task: Task) -> None:  # noqa: ARG002 # one signature for all
        """Tell the run's owner to stop it. Nobody there: nobody runs it, and who takes it later sees it is void."""
        subject = subjects.run_control(command.run_id)
        answer = await ask(self._bus, subject, b"cancel", CANCEL_TIMEOUT_S)
        log.info("run cancelled", task=command.key, run_id=command.run_id, owner=bool(answer), reason=command.reason)
