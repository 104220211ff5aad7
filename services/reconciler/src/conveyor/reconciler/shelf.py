"""All tasks as they are now, kept from pass to pass: an idle pass costs the same however many there are (RC-9)."""

from collections.abc import Mapping

from conveyor.contracts.task import Task
from conveyor.reconciler.ports import Tasks
from conveyor.servicekit.clock import Clock


class Shelf:
    """Reads all tasks once, then what changed since; all of them again every `whole_every_s`, for those removed."""

    def __init__(self, tasks: Tasks, whole_every_s: float, clock: Clock) -> None:
        self._stored = tasks
        self._whole_every_s = whole_every_s
        self._clock = clock
        self._due_s = float("-inf")
        self._seq = 0
        self._tasks: dict[str, dict[str, Task]] = {}
        """Project -> key -> task."""

    async def of(self, project: str) -> Mapping[str, Task]:
        """Return the tasks of a project by key, as they are at this moment."""
        now_s = self._clock.monotonic()
        if now_s >= self._due_s:
            stored = await self._stored.all()
            self._tasks, self._due_s = {}, now_s + self._whole_every_s
        else:
            stored = await self._stored.since(self._seq)
        for one in stored:
            task = one.record.task
            self._tasks.setdefault(task.project, {})[task.key] = task
            self._seq = max(self._seq, one.seq)
        return self._tasks.get(project, {})
