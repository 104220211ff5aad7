"""`conveyor task show`: what happened to one task and why, event by event: decision, commands, what came of them."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from msgspec import Struct
from rich.text import Text

from conveyor.cli.show.happened import happened
from conveyor.cli.show.ordered import answer_to, ordered, outcomes
from conveyor.contracts.errors import MessageError
from conveyor.contracts.events import AnyEvent
from conveyor.contracts.subjects import kind
from conveyor.contracts.task import Task
from conveyor.contracts.transition import TaskRecord

StoredEvent = tuple[int, datetime, AnyEvent | MessageError]
Explain = Callable[[Task | None, AnyEvent], str]
"""Why an event changes nothing for a task; empty when it would change something."""

UNDECIDED = "not decided yet"
OUTDATED = "changed nothing: what it told was no longer so when it was looked at"


class Ordered(Struct, frozen=True, kw_only=True):
    """One command of a decision, and the event that answered it (0: none)."""

    command_id: str
    text: str
    answered_by: int


class Entry(Struct, frozen=True, kw_only=True):
    """One event and what it did."""

    seq: int
    at: datetime
    kind: str
    text: str
    ignored: str = ""
    revision: int = 0
    """The revision it made; 0 when it changed nothing."""
    stage: str = ""
    waiting: str = ""
    notes: tuple[str, ...] = ()
    commands: tuple[Ordered, ...] = ()
    trace_id: str = ""


def entries(events: Sequence[StoredEvent], records: Sequence[TaskRecord], explain: Explain) -> tuple[Entry, ...]:
    """Return the causal timeline, oldest first; an event older than EVENTS keeps is told from its record alone."""
    by_cursor = {record.task.cursor: record for record in records}
    readable = [(seq, event) for seq, _, event in events if not isinstance(event, MessageError)]
    answered = outcomes(readable)
    stored = {seq for seq, _, _ in events}
    told = [_decided(record.task.cursor, record, answered) for record in records if record.task.cursor not in stored]
    last = max(by_cursor, default=0)
    task: Task | None = None
    for seq, at, event in events:
        record = by_cursor.get(seq)
        if isinstance(event, MessageError):
            told.append(Entry(seq=seq, at=at, kind="unreadable", text=str(event), ignored="it cannot be read"))
        elif record is not None:
            task = record.task
            told.append(_decided(seq, record, answered))
        else:
            why = explain(task, event)
            why = f"changed nothing: {why}" if why else OUTDATED if seq < last else UNDECIDED
            text = happened(event)
            made = Entry(seq=seq, at=event.at, kind=kind(type(event)), text=text, ignored=why, trace_id=event.trace_id)
            told.append(made)
    return tuple(sorted(told, key=lambda entry: entry.seq))


def _decided(seq: int, record: TaskRecord, answered: dict[str, int]) -> Entry:
    commands = tuple(
        Ordered(command_id=command.command_id, text=ordered(command), answered_by=answer_to(command, answered))
        for command in record.commands
    )
    return Entry(
        seq=seq,
        at=record.event.at,
        kind=kind(type(record.event)),
        text=happened(record.event),
        revision=record.task.revision,
        stage=record.task.stage,
        waiting=record.task.waiting.value,
        notes=record.notes,
        commands=commands,
        trace_id=record.event.trace_id,
    )


def lines(told: Sequence[Entry]) -> Iterator[Text]:
    """Yield the timeline line by line for a terminal."""
    for entry in told:
        head = Text(f"{entry.at.astimezone():%H:%M:%S}  #{entry.seq:<5} ", style="dim")
        if entry.ignored:
            yield head.append(f"{entry.text}  ({entry.ignored})")
            continue
        yield head.append(entry.text, style="bold not dim")
        for note in entry.notes:
            yield Text(f"{'':18}∴ {note}", style="cyan")
        for command in entry.commands:
            answer = f"  → #{command.answered_by}" if command.answered_by else ""
            yield Text(f"{'':18}▸ {command.text}{answer}", style="default")
