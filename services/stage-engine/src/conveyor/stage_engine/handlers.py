"""The decide loop: an event is a doorbell; its handler applies every stored event the task has not seen, in order.

Order of delivery, redelivery and the number of engines do not matter: what counts is the task's cursor, and the
compare-and-set that commits each transition as one message (rules 2 and 4).
"""

from msgspec import Struct, structs

from conveyor.contracts import codec, subjects
from conveyor.contracts.errors import MessageError, PermanentError, TransientError
from conveyor.contracts.events import AnyEvent
from conveyor.contracts.task import Task
from conveyor.contracts.transition import TaskRecord
from conveyor.servicekit import logs
from conveyor.servicekit.bus import Conflict, Delivery, EventLog, TaskStore
from conveyor.servicekit.metrics import Metrics
from conveyor.stage_engine.core.decide import decide
from conveyor.stage_engine.look import Look
from conveyor.stage_engine.projects import Projects

log = logs.get("decide")
RACES = 20
"""How often one doorbell may lose the race for its task before it is rung again later."""
CACHED = 4096
"""How many tasks are kept in memory; the compare-and-set finds out when one of them is out of date."""


class Seen(Struct, frozen=True):
    """A task as this engine last knew it: the task, the TASKS sequence it lies at, the last event looked at."""

    task: Task | None
    seq: int
    cursor: int
    is_sure: bool = True
    """Whether it was surely the latest after that event; a commit proves it, an event that changed nothing does not."""


class Doorbell:
    """Answers the doorbell of EVENTS."""

    def __init__(self, stores: tuple[EventLog, TaskStore], projects: Projects, look: Look, metrics: Metrics) -> None:
        self._events, self._tasks = stores
        self._projects = projects
        self._look = look
        labels = ("project", "event")
        self._transitions = metrics.counter("transitions_total", "Transitions committed", labels)
        self._ignored = metrics.counter("ignored_total", "Events that changed nothing", labels)
        self._conflicts = metrics.counter("conflicts_total", "Commits lost to another engine and decided anew")
        self._cache: dict[tuple[str, str], Seen] = {}

    async def __call__(self, delivery: Delivery) -> None:
        """Bring the task of this event up to date; return when the event is behind its cursor or changes nothing."""
        address = subjects.address_of(delivery.subject)
        if not all(address):
            raise PermanentError(f"expected a subject event.<project>.<key>.<kind>, not {delivery.subject!r}")
        self._projects.project(address[0])
        event = codec.decode_event(delivery.body)
        _refuse_stranger(address, delivery.seq, event)
        for _ in range(RACES):
            try:
                await self._catch_up(address, delivery.seq, event)
            except Conflict:
                self._conflicts.inc()
                self._cache.pop(address, None)
            except BaseException:
                self._cache.pop(address, None)
                raise
            else:
                return
        raise TransientError(f"{address[1]}: lost the race {RACES} times; another engine is at work on it")

    async def _catch_up(self, address: tuple[str, str], until: int, event: AnyEvent) -> None:
        seen = self._cache.get(address) or await self._load(address)
        if seen.cursor >= until:  # dealt with; or passed over because it cannot be looked at: then this buries it
            await self._look.at(seen.task, event)
        while seen.cursor < until:
            seen = await self._next(address, seen, until)
        if not seen.is_sure and (await self._load(address)).seq != seen.seq:
            raise Conflict(f"{address[1]}: another engine moved it while events were found to change nothing")
        self._cache[address] = structs.replace(seen, is_sure=True)
        if len(self._cache) > CACHED:
            self._cache.pop(next(iter(self._cache)))

    async def _load(self, address: tuple[str, str]) -> Seen:
        stored = await self._tasks.load(*address)
        return Seen(stored.record.task, stored.seq, stored.record.task.cursor) if stored else Seen(None, 0, 0)

    async def _next(self, address: tuple[str, str], seen: Seen, until: int) -> Seen:
        found = await self._events.next_after(*address, seen.cursor)
        if found is None or found[0] > until:
            raise TransientError(f"event {until} of {address[1]} was delivered but cannot be read yet")
        seq, event = found
        try:
            if isinstance(event, MessageError):
                raise event
            _refuse_stranger(address, seq, event)
            return await self._apply(seen, seq, event)
        except PermanentError as error:
            if seq == until:
                raise
            log.warning("passes over an event that its own doorbell buries", task=address[1], seq=seq, error=str(error))
            return structs.replace(seen, cursor=seq, is_sure=False)

    async def _apply(self, seen: Seen, seq: int, event: AnyEvent) -> Seen:
        current = await self._look.at(seen.task, event)
        if current is None:
            return self._ignore(seen, seq, event, "what it tells is no longer so")
        transition = decide(self._projects.pipeline(event.project), seen.task, current)
        if transition.ignored or transition.task is None:
            return self._ignore(seen, seq, event, transition.ignored)
        task = structs.replace(transition.task, cursor=seq)
        record = TaskRecord(
            task=task,
            event=current,
            commands=transition.commands,
            notes=transition.notes,
            from_stage=seen.task.stage if seen.task else "",
        )
        stored_seq = await self._tasks.commit(record, seen.seq)
        self._transitions.labels(event.project, type(event).__name__).inc()
        log.info("decided", task=task.key, trace_id=event.trace_id, event_type=type(event).__name__, notes=record.notes)
        return Seen(task, stored_seq, seq)

    def _ignore(self, seen: Seen, seq: int, event: AnyEvent, reason: str) -> Seen:
        self._ignored.labels(event.project, type(event).__name__).inc()
        log.info("ignored", task=event.key, trace_id=event.trace_id, event_type=type(event).__name__, reason=reason)
        return structs.replace(seen, cursor=seq, is_sure=False)


def _refuse_stranger(address: tuple[str, str], seq: int, event: AnyEvent) -> None:
    if (event.project, event.key) != address:
        raise PermanentError(f"event {seq} is about {event.project}/{event.key} but lies under {'/'.join(address)}")
