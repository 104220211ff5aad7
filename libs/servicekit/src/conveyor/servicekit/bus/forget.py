"""Forgets what is over: the events and revisions of a task that ended long ago, and of nothing else."""

from conveyor.contracts import streams, subjects
from conveyor.servicekit.bus.connection import Bus


async def forget(bus: Bus, project: str, key: str, *, event_seq: int, task_seq: int) -> None:
    """Remove a task's events up to `event_seq`, then its revisions up to `task_seq`; newer ones stay.

    In this order: were the revisions gone first, the old events would make the task anew.
    """
    events = {"filter": subjects.events_of(project, key), "seq": event_seq + 1}
    await bus.api(f"STREAM.PURGE.{streams.EVENTS.name}", events)
    revisions = {"filter": subjects.task(project, key), "seq": task_seq + 1}
    await bus.api(f"STREAM.PURGE.{streams.TASKS.name}", revisions)
