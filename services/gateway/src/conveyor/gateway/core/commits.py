"""Whose commit is it: what can be said from the tasks alone (GW-8)."""

from collections.abc import Iterable, Sequence

from conveyor.contracts.task import Task

DEVELOPMENT = "development"


def with_head(tasks: Iterable[Task], sha: str) -> Task | None:
    """Return the one task whose branch is known to stand at this commit; None when none or several do."""
    return _only([task for task in tasks if task.head == sha])


def sole_in_development(tasks: Iterable[Task]) -> Task | None:
    """Return the one task in development; None when there are none or several, which is a guess."""
    return _only([task for task in tasks if task.stage == DEVELOPMENT])


def _only(tasks: Sequence[Task]) -> Task | None:
    return tasks[0] if len(tasks) == 1 else None
