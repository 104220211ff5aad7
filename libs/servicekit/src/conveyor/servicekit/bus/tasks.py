"""TASKS: every revision of every task; one message is one transition, committed by compare-and-set."""

from collections.abc import AsyncIterator
from datetime import datetime

from msgspec import Struct

from conveyor.contracts import codec, streams, subjects
from conveyor.contracts.errors import MessageError
from conveyor.contracts.transition import TaskRecord
from conveyor.servicekit import logs
from conveyor.servicekit.bus import wire
from conveyor.servicekit.bus.connection import Bus
from conveyor.servicekit.bus.errors import Conflict
from conveyor.servicekit.bus.follow import Start, follow, scan

EVERY_TASK = "task.>"
_log = logs.get("tasks")


class StoredTask(Struct, frozen=True):
    """The latest record of a task and its sequence, which the next commit has to name."""

    record: TaskRecord
    seq: int


class StoredRevision(Struct, frozen=True):
    """One revision of a task as it was stored."""

    seq: int
    at: datetime
    record: TaskRecord


class TaskStore:
    """Loads and commits tasks. A record that cannot be read raises MessageError: it must not be decided upon.

    Only lists pass over such a task, with an error in the log: one bad record must not hide all the others.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def load(self, project: str, key: str) -> StoredTask | None:
        """Return the latest record of a task, asked of the stream's leader; None when there is no such task."""
        found = await wire.read_raw(self._bus, streams.TASKS.name, {"last_by_subj": subjects.task(project, key)})
        return None if found is None else StoredTask(codec.decode_record(found.data), found.seq)

    async def commit(self, record: TaskRecord, expected_seq: int) -> int:
        """Store the next revision and return its sequence; `expected_seq` is the one it was decided on, 0 for none.

        Conflict when another revision was stored meanwhile. After any other TransientError it is unknown whether
        this one was stored: load again.
        """
        headers = codec.headers(record)
        headers[wire.EXPECTED_LAST] = str(expected_seq)
        subject = subjects.task(record.task.project, record.task.key)
        try:
            return (await wire.publish(self._bus, subject, codec.encode(record), headers)).seq
        except Conflict as error:
            raise Conflict(f"{subject}: another revision was stored after sequence {expected_seq}") from error

    async def all(self, project: str | None = None) -> list[StoredTask]:
        """Return the latest record of every task, of one project or of all, in the order of their last change."""
        wanted = EVERY_TASK if project is None else f"task.{project}.>"
        messages = scan(self._bus, streams.TASKS.name, (wanted,), start=Start.LATEST)
        latest = {message.subject: message async for message in messages}  # a reading begun anew may bring one twice
        return [stored for message in latest.values() if (stored := _readable(message))]

    async def since(self, seq: int) -> list[StoredTask]:
        """Return every revision stored behind a sequence, of all projects, oldest first."""
        messages = scan(self._bus, streams.TASKS.name, (EVERY_TASK,), start=seq + 1)
        return [stored async for message in messages if (stored := _readable(message))]

    async def history(self, project: str, key: str) -> list[StoredRevision]:
        """Return every revision of a task, oldest first."""
        messages = scan(self._bus, streams.TASKS.name, (subjects.task(project, key),))
        return [_revision(message) async for message in messages]

    async def follow(
        self, project: str | None = None, *, start: Start | int | datetime = Start.NEW
    ) -> AsyncIterator[StoredRevision]:
        """Yield revisions as they are stored, for ever; close the iterator to end it."""
        wanted = EVERY_TASK if project is None else f"task.{project}.>"
        async for message in follow(self._bus, streams.TASKS.name, (wanted,), start=start):
            yield _revision(message)


def _readable(message: wire.Message) -> StoredTask | None:
    try:
        return StoredTask(codec.decode_record(message.body), message.seq)
    except MessageError as error:
        _log.error(
            "a task cannot be read", subject=message.subject, seq=message.seq, reason=str(error)
        )  # the reason says it all
        return None


def _revision(message: wire.Message) -> StoredRevision:
    return StoredRevision(seq=message.seq, at=message.at, record=codec.decode_record(message.body))
