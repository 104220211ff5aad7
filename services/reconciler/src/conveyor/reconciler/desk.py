"""Where what the sweeps find goes out: published once, counted, and remembered until the engine has acted on it."""

from collections.abc import Mapping

import msgspec

from conveyor.contracts.errors import ConveyorError
from conveyor.contracts.events import AnyEvent
from conveyor.contracts.task import Task
from conveyor.reconciler.core.moved import Notebook, Pending, announced, kept, noted, settled
from conveyor.reconciler.ports import Events, Messenger, Notes, Tasks
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
        stored = await self._events.publish(event)
        self._remember(event.event_id)
        if stored.duplicate:
            report.duplicates += 1
            return False
        report.repaired += 1
        report.by_source[event.source] = report.by_source.get(event.source, 0) + 1
        report.last_repaired, report.last_repaired_at = event.key, report.at
        with logs.bind(task=f"{event.project}/{event.key}", trace_id=event.trace_id):
            self._log.debug("published again", kind=type(event).__name__, event_id=event.event_id)
        await self._note(event)
        return True

    def _remember(self, event_id: str) -> None:
        self._told[event_id] = None
        if len(self._told) > REMEMBERED:
            self._told.pop(next(iter(self._told)))

    async def _note(self, event: AnyEvent) -> None:
        book = await self._read(event.project)
        await self._write(event.project, noted(book, event))

    async def announce(self, project: str, tasks: Mapping[str, Task], report: Report) -> None:
        """Tell of what the engine made of earlier passes' events, once per issue and state, also across restarts."""
        book = await self._read(project)
        if not book.pending:
            return
        for pending in book.pending:
            if pending.key in tasks and await self._has_moved(project, pending):
                task = tasks[pending.key]
                news = announced(book, pending, task)
                if news:
                    await self._tell(task, news)
                book = settled(book, pending, task, is_told=bool(news))
        await self._write(project, kept(book, tasks, report.at))

    async def _has_moved(self, project: str, pending: Pending) -> bool:
        history = await self._tasks.history(project, pending.key)
        return any(one.record.event.event_id == pending.event_id for one in history)

    async def _tell(self, task: Task, news: str) -> None:
        self._log.info("repaired", task=f"{task.project}/{task.key}", stage=task.stage, what=news)
        for messenger in self._messengers:
            try:
                await messenger(news, task.key)
            except ConveyorError as error:
                self._log.warning("nobody was told", task=task.key, reason=str(error))

    async def _read(self, project: str) -> Notebook:
        entry = await self._notes.get(f"moved.{project}")
        return msgspec.json.decode(entry.value, type=Notebook) if entry else Notebook()

    async def _write(self, project: str, book: Notebook) -> None:
        await self._notes.put(f"moved.{project}", msgspec.json.encode(book))
