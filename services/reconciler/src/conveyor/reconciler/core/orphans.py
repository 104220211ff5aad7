"""What nobody looks after any more: runs whose runner is gone, and branches of tasks that ended long ago."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from conveyor.contracts.task import Task, Waiting

LEFT_AFTER = timedelta(days=7)
"""How long the branch of an ended task may still be wanted."""
MOST_NAMED = 100
"""So many branches of a project are named."""


def orphans(tasks: Iterable[Task], runners: Collection[str], now: datetime, grace_s: float) -> list[str]:
    """Return the ids of runs that began longer ago than the grace on a runner that is not there any more.

    The bus gives such a run to another runner by itself; this tells of the one that it did not give.
    """
    return [
        task.run.run_id
        for task in tasks
        if task.waiting is Waiting.RUN
        and task.run is not None
        and task.run.runner_id
        and task.run.runner_id not in runners
        and now - (task.run.started_at or task.entered_at) >= timedelta(seconds=grace_s)
    ]


def leftovers(tasks: Iterable[Task], branches: Collection[str], now: datetime) -> list[str]:
    """Return which of the forge's branches belong to tasks that ended long ago; people know whether they want them."""
    ended = {task.branch for task in tasks if task.is_over and now - (task.ended_at or now) >= LEFT_AFTER}
    return sorted(ended & set(branches))[:MOST_NAMED]
