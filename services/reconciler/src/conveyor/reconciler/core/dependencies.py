"""Tasks that wait for each other in a circle, or for tasks that have ended: the backstop of each pass (RC-10)."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

from conveyor.contracts.circles import circle_of
from conveyor.contracts.events import DependencyChanged
from conveyor.contracts.ids import digest
from conveyor.contracts.task import Task, Waiting
from conveyor.reconciler.core.carried import ENGINE, republished


def released(
    tasks: Mapping[str, Task], ended: AbstractSet[str], now: datetime, grace_s: float
) -> tuple[DependencyChanged, ...]:
    """Return what waiting tasks were not told: that they go in a circle, or that what they wait for has ended.

    `ended` are keys of issues without a task that the tracker showed as ended. What is not known to have ended counts
    as open: after a restart nothing is unblocked because nothing is known yet.
    """
    over = {key for key, task in tasks.items() if task.is_over} | (ended - tasks.keys())
    edges = {key: task.depends_on for key, task in tasks.items() if not task.is_over}
    told = (_told(task, edges, over, now) for task in tasks.values() if _waits(task, now, grace_s))
    return tuple(event for event in told if event is not None)


def _waits(task: Task, now: datetime, grace_s: float) -> bool:
    if task.waiting is not Waiting.DEPENDENCY or task.is_escalated or task.is_over:
        return False
    return now - (task.since or task.entered_at) >= timedelta(seconds=grace_s)


def _told(
    task: Task, edges: dict[str, tuple[str, ...]], over: AbstractSet[str], now: datetime
) -> DependencyChanged | None:
    circle = circle_of(task.key, edges)
    still_open = tuple(key for key in task.open_dependencies if key not in over)
    if not circle and still_open and still_open == task.open_dependencies:
        return None
    name = digest("dependencies", task.project, task.key, str(task.revision), *still_open, *circle)
    return DependencyChanged(
        project=task.project,
        key=task.key,
        at=now,
        depends_on=task.depends_on,
        open_keys=still_open,
        cycle=circle,
        **republished(name, ENGINE, now),
    )
