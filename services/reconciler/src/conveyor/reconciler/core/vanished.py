"""What the tracker no longer shows: issues that were deleted or archived, which no webhook tells (RC-11)."""

from collections.abc import Set as AbstractSet
from datetime import timedelta

from conveyor.contracts import facts_ids
from conveyor.contracts.events import CloseKind, IssueClosed
from conveyor.contracts.task import Task
from conveyor.reconciler.core.carried import carried
from conveyor.reconciler.core.look import Pass


def unlisted(view: Pass, listed: AbstractSet[str]) -> tuple[Task, ...]:
    """Return the open tasks whose issue a whole list left out.

    A list that shifts while it is read may leave one out too: ask for the issue itself before believing it.
    """
    grace = timedelta(seconds=view.grace_s)
    return tuple(
        task
        for task in view.tasks.values()
        if not task.is_over and task.issue_id not in listed and view.now - task.created_at >= grace
    )


def tasks_of(view: Pass, issue_id: str) -> tuple[Task, ...]:
    """Return the open tasks of an issue: one, or none."""
    return tuple(task for task in view.tasks.values() if task.issue_id == issue_id and not task.is_over)


def vanished(view: Pass, task: Task) -> IssueClosed:
    """Return the end of a task whose issue is gone; the tracker does not say whether deleted or archived."""
    name = facts_ids.issue_vanished(task.issue_id, task.created_at)
    return IssueClosed(how=CloseKind.DELETED, **carried(view, task.key, name, view.now))
