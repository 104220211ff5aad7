"""Where what the sweeps find goes out: published once, counted, and remembered until the engine has acted on it."""

from collections.abc import Mapping

from conveyor.contracts.errors import ConveyorError
from conveyor.contracts.events import AnyEvent
from conveyor.contracts.task import Task
from conveyor.reconciler.core.moved import (
    Notebook,
    Pending,
    announced,
    awaits,
    dropped,
    has_moved,
    kept,
    noted,
    settled,
)
from conveyor.reconciler.ports import Events, Messenger, Notes, Tasks
from conveyor.reconciler.remembered import recall, remember
from conveyor.reconciler.report import Report
from conveyor.servicekit import logs

REMEMBERED = 10_000
"""How many published events are remembered in memory, so that what the engine ignored is not sent again and again."""


class Desk:
    """Publishes events; tells people of those that moved a task (RC-7)."""

    def __init__(self, events: Events, tasks: Tasks, notes: Notes, messengers: tuple[Messenger, ...]) -> None:
        self._events = events
        self._tasks = tasks
        self._notes = notes
        self._messengers = messengers
        self._told: dict[str, None] = {}
        self._log = logs.get("reconciler")

    async def publish(self, event: AnyEvent, report: Report, *, is_dry: bool) -> bool:
        """Publish one event unless it was published before; True when it is news."""
        if event.event_id in self._told:
            report.duplicates += 1
            return False
        report.found.append(event)
        if is_dry:
            return False
        is_new = await self._note(event)
        stored = await self._events.publish(event)
        self._remember(event.event_id)
        if stored.duplicate:
            report.duplicates += 1
            if is_new:
                await self._forget(event)
            return False
        self._count(event, report)
        with logs.bind(task=f"{event.project}/{event.key}", trace_id=event.trace_id):
            self._log.debug("published again", kind=type(event).__name__, event_id=event.event_id)
        return True

    def _remember(self, event_id: str) -> None:
        self._told[event_id] = None
        if len(self._told) > REMEMBERED:
            self._told.pop(next(iter(self._told)))

    def _count(self, event: AnyEvent, report: Report) -> None:
        report.repaired += 1
        report.by_source[event.source] = report.by_source.get(event.source, 0) + 1
        report.late_s.setdefault(event.source, []).append((event.received_at - event.at).total_seconds())
        report.last_repaired, report.last_repaired_at = event.key, report.at

    async def _note(self, event: AnyEvent) -> bool:
        """Note before it is published that it is waited for: a crash in between loses no announcement."""
        book = await self._read(event.project)
        if awaits(book, event):
            return False
        await self._write(event.project, noted(book, event))
        return True

    async def _forget(self, event: AnyEvent) -> None:
        """Somebody else had published it before: nothing is to be told of it."""
        await self._write(event.project, dropped(await self._read(event.project), event.event_id))

    async def announce(self, project: str, tasks: Mapping[str, Task], report: Report) -> None:
        """Tell of what the engine made of earlier passes' events, once per issue and state, also across restarts.

        It is written down first: killed in between, people hear of it from the log and the task, not twice.
        """
        book, told = await self._read(project), list[tuple[Task, str]]()
        if not book.pending:
            return
        for pending in book.pending:
            if pending.key in tasks and await self._has_moved(project, pending):
                task = tasks[pending.key]
                news = announced(book, pending, task)
                told += [(task, news)] if news else []
                book = settled(book, pending, task, is_told=bool(news))
        await self._write(project, kept(book, tasks, report.at))
        for task, news in told:
            await self._tell(task, news)

    async def _has_moved(self, project: str, pending: Pending) -> bool:
        history = await self._tasks.history(project, pending.key)
        return has_moved(pending, [one.record for one in history])

    async def _tell(self, task: Task, news: str) -> None:
        self._log.info("repaired", task=f"{task.project}/{task.key}", stage=task.stage, what=news)
        for messenger in self._messengers:
            try:
                await messenger(news, task.key)
            except ConveyorError as error:
                self._log.warning("nobody was told", task=task.key, reason=str(error))

    async def _read(self, project: str) -> Notebook:
        return await recall(self._notes, f"moved.{project}", Notebook) or Notebook()

    async def _write(self, project: str, book: Notebook) -> None:
        await remember(self._notes, f"moved.{project}", book)
