"""Publishing what an operator said and finding out what came of it: decided, ignored and why, or not looked at yet."""

from enum import StrEnum

import msgspec
from msgspec import Struct

from conveyor.contracts import streams
from conveyor.contracts.events import AnyEvent
from conveyor.contracts.pipeline import Pipeline
from conveyor.contracts.task import Task, Waiting
from conveyor.contracts.transition import TaskRecord
from conveyor.servicekit.bus import ApiError, Bus, EventLog, NoRespondersError, TaskStore
from conveyor.servicekit.clock import SYSTEM_CLOCK
from conveyor.stage_engine.core.decide import decide

DECIDER = "engine-decide"
"""The engine's durable consumer on EVENTS: how far its acknowledgements reach says what has been looked at."""
DEADLINE_S = 15.0
GATE_S = 3.0
"""How long the gate that an approval orders is waited for, once the approval itself was taken."""
_POLL_S = 0.02


class Fate(StrEnum):
    """What became of an operator's word."""

    DECIDED = "decided"
    IGNORED = "ignored"
    PENDING = "pending"


class Answer(Struct, frozen=True, kw_only=True):
    """What came of it, for people and for `--json`."""

    key: str
    event_id: str
    seq: int
    fate: Fate
    reason: str = ""
    """Why it was ignored, or has not been looked at."""
    notes: tuple[str, ...] = ()
    stage: str = ""
    waiting: str = ""


class _Floor(Struct):
    stream_seq: int = 0


class _ConsumerInfo(Struct):
    ack_floor: _Floor


async def say(bus: Bus, pipeline: Pipeline, event: AnyEvent, *, wait_s: float = DEADLINE_S) -> Answer:
    """Publish and wait until the engine has looked at it, and at the gate it may have ordered; 0 waits for nothing."""
    stored = await EventLog(bus).publish(event)
    pending = Answer(key=event.key, event_id=event.event_id, seq=stored.seq, fate=Fate.PENDING)
    deadline_s = SYSTEM_CLOCK.monotonic() + wait_s
    gate_deadline_s = 0.0
    found: Answer | None = None
    while SYSTEM_CLOCK.monotonic() < deadline_s:
        found = await _look(bus, pipeline, event, pending)
        if found is not None and found.waiting != Waiting.GATE:
            return found
        if found is not None:
            deadline_s = min(deadline_s, gate_deadline_s or deadline_s)
            gate_deadline_s = gate_deadline_s or SYSTEM_CLOCK.monotonic() + GATE_S
        await SYSTEM_CLOCK.sleep(_POLL_S)
    if found is not None:
        return found
    why = f"the engine has not looked at it within {wait_s:g} s; it will when it runs" if wait_s else "did not wait"
    return msgspec.structs.replace(pending, reason=why)


async def _look(bus: Bus, pipeline: Pipeline, event: AnyEvent, pending: Answer) -> Answer | None:
    """Return what came of the event so far; None while the engine has not looked at it."""
    is_looked_at = await _looked_at(bus, pending.seq)
    records = [revision.record for revision in await TaskStore(bus).history(event.project, event.key)]
    since = [record for record in records if record.task.cursor >= pending.seq]
    if any(record.task.cursor == pending.seq for record in since):
        return _decided(pending, since)
    if not is_looked_at and not since:
        return None
    before = max((record.task for record in records if record.task.cursor < pending.seq), key=_revision, default=None)
    why = decide(pipeline, before, event).ignored or "the task had moved on"
    place = {"stage": before.stage, "waiting": ""} if before else {}
    return msgspec.structs.replace(pending, fate=Fate.IGNORED, reason=why, **place)


def _revision(task: Task) -> int:
    return task.revision


def _decided(pending: Answer, since: list[TaskRecord]) -> Answer:
    task = since[-1].task
    return msgspec.structs.replace(
        pending,
        fate=Fate.DECIDED,
        notes=tuple(note for record in since for note in record.notes),
        stage=task.stage,
        waiting=task.waiting.value,
    )


async def _looked_at(bus: Bus, seq: int) -> bool:
    """Whether the engine has acknowledged every event up to this one."""
    try:
        body = await bus.api(f"CONSUMER.INFO.{streams.EVENTS.name}.{DECIDER}")
    except (ApiError, NoRespondersError):
        return False
    return msgspec.json.decode(body, type=_ConsumerInfo).ack_floor.stream_seq >= seq
