"""What is told to people of repairs: only what really moved a task, once per issue and state (RC-7)."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct, structs

from conveyor.contracts.events import AnyEvent, Nudged, Origin
from conveyor.contracts.task import Task
from conveyor.contracts.transition import TaskRecord
from conveyor.reconciler.core.losses import SOURCES

PATIENCE = timedelta(hours=1)
"""How long the engine may take; what has moved nothing by then moves nothing."""
MOST = 1000
"""So many events of a project are waited for at once, the latest; a note on the bus has its limit."""


class Pending(Struct, frozen=True, kw_only=True):
    """An event that was published and of which it is not known yet whether it moved its task."""

    event_id: str
    key: str
    kind: str
    source: str
    at: datetime
    """When it was published."""


class Notebook(Struct, frozen=True, kw_only=True):
    """What is remembered of one project, on the bus."""

    pending: tuple[Pending, ...] = ()
    told: dict[str, tuple[str, ...]] = {}
    """Key -> the stages of which people were told."""


def awaits(book: Notebook, event: AnyEvent) -> bool:
    """Whether the event is waited for already."""
    return any(one.event_id == event.event_id for one in book.pending)


def noted(book: Notebook, event: AnyEvent) -> Notebook:
    """Return the notebook with one more event to wait for."""
    kind = type(event).__name__
    new = Pending(event_id=event.event_id, key=event.key, kind=kind, source=event.source, at=event.received_at)
    return structs.replace(book, pending=(*book.pending, new)[-MOST:])


def dropped(book: Notebook, event_id: str) -> Notebook:
    """Return the notebook without an event: it was ours no longer, or all is said of it."""
    return structs.replace(book, pending=tuple(one for one in book.pending if one.event_id != event_id))


def has_moved(pending: Pending, history: Sequence[TaskRecord]) -> bool:
    """Whether one of the task's revisions came of this event, and not of the webhook of the same name.

    A nudge has moved the task once its stage is another: a gate that stays red leaves no trail (RC-4).
    """
    came = [one for one in history if one.event.event_id == pending.event_id and one.event.origin is Origin.RECONCILER]
    if pending.kind == Nudged.__name__:
        return bool(came) and came[0].task.stage != history[-1].task.stage
    return bool(came)


def announced(book: Notebook, pending: Pending, task: Task) -> str:
    """Return what to say of an event that moved its task; nothing when people know of this issue in this state."""
    if task.stage in book.told.get(task.key, ()):
        return ""
    if pending.source not in SOURCES:
        return f"{task.key} is in {task.stage} by a repair: it stood still, and nobody would have told it."
    return f"{task.key} is in {task.stage} by a repair: {pending.source} told nobody of {pending.kind}."


def settled(book: Notebook, pending: Pending, task: Task, *, is_told: bool) -> Notebook:
    """Return the notebook without this event; what was told of is written down."""
    stages = (*book.told.get(task.key, ()), task.stage) if is_told else book.told.get(task.key, ())
    told = {**book.told, task.key: stages} if stages else book.told
    return structs.replace(dropped(book, pending.event_id), told=told)


def kept(book: Notebook, tasks: Mapping[str, Task], now: datetime) -> Notebook:
    """Return what is worth remembering: events that may still move something, and tasks that are not over."""
    told = {key: stages for key, stages in book.told.items() if key in tasks and not tasks[key].is_over}
    return Notebook(pending=tuple(one for one in book.pending if now - one.at < PATIENCE), told=told)
