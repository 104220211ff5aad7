"""Who waits to be merged, at which place: read off the tasks themselves, so that nothing can disagree with them."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from conveyor.contracts.task import Task, Waiting

MERGING = "awaiting_deploy"
"""The logical status of a task that waits for its merge."""
_LAST = datetime.max.replace(tzinfo=UTC)


def positions(tasks: Iterable[Task], repository_of: Callable[[str], str]) -> dict[tuple[str, str], int]:
    """Return the place in its repository's merge queue, from 1, of each task (project, key) that waits for its merge.

    `repository_of` gives a project's repository; projects that share one share its queue. First come, first served.
    """
    queues: dict[str, list[Task]] = {}
    for task in tasks:
        if task.waiting is Waiting.EFFECT and task.status == MERGING:
            queues.setdefault(repository_of(task.project).casefold(), []).append(task)
    return {
        (task.project, task.key): place
        for queue in queues.values()
        for place, task in enumerate(sorted(queue, key=_order), start=1)
    }


def _order(task: Task) -> tuple[datetime, str, str]:
    return task.since or _LAST, task.project, task.key
