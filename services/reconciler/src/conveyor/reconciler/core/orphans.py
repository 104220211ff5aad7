"""Runs that nobody runs: the runner that took them is gone, and no other has taken them over (RC-10)."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from conveyor.contracts.task import Task, Waiting


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
