"""Tasks that ended long ago are forgotten whole; younger ones, and what came since, stay."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from msgspec import structs

from conveyor.contracts.events import CloseKind, CommentAdded, IssueClosed, IssueStarted, Origin
from conveyor.contracts.pipelines import default_pipeline
from conveyor.contracts.task import Task
from conveyor.contracts.transition import TaskRecord
from conveyor.servicekit.bus import Bus, ConsumerSpec, Delivery, EventLog, TaskStore, consume, forget
from conveyor.stage_engine.core.decide import decide
from conveyor.stage_engine.retention import Retention

DECIDER = ConsumerSpec(stream="EVENTS", durable="engine-decide", subjects=("event.>",))


def _event(kind: type[Any], key: str, clock: Any, **fields: object) -> Any:
    return kind(
        event_id=f"{kind.__name__}-{key}",
        project="shop",
        key=key,
        at=clock.now(),
        received_at=clock.now(),
        source="plane",
        origin=Origin.WEBHOOK,
        trace_id="0" * 32,
        **fields,
    )


async def _ended(bus: Bus, key: str, clock: Any, how: CloseKind = CloseKind.COMPLETED) -> None:
    """Store the story of one task that was started and closed."""
    task: Task | None = None
    at = 0
    started = _event(IssueStarted, key, clock, issue_id=f"issue-{key}", title="Old work")
    closed = _event(IssueClosed, key, clock, how=how)
    for event in (started, closed):
        await EventLog(bus).publish(event)
        task = decide(default_pipeline(), task, event).task
        assert task is not None
        at = await TaskStore(bus).commit(TaskRecord(task=task, event=event), at)


async def _deal_with_all(bus: Bus, eventually: Callable[..., Awaitable[Any]]) -> None:
    """Acknowledge every event, as the decide loop does when it has looked at it."""
    stopping, seen = asyncio.Event(), []

    async def note(delivery: Delivery) -> None:
        seen.append(delivery.seq)

    loop = asyncio.create_task(consume(bus, DECIDER, note, stopping=stopping))
    await eventually(lambda: len(seen) >= 3)
    stopping.set()
    await loop


async def test_a_task_that_ended_long_ago_is_forgotten_and_a_younger_one_stays(
    bus: Bus, clock: Any, eventually: Callable[..., Awaitable[Any]]
) -> None:
    await _ended(bus, "SHOP-1", clock)
    await clock.advance(timedelta(days=80).total_seconds())
    await _ended(bus, "SHOP-2", clock)
    await _deal_with_all(bus, eventually)
    await clock.advance(timedelta(days=11).total_seconds())
    retention = Retention(bus, clock, "engine-decide", keep_days=90)

    assert await retention.look() == 1
    assert await TaskStore(bus).load("shop", "SHOP-1") is None
    assert await EventLog(bus).history("shop", "SHOP-1") == []
    assert await TaskStore(bus).load("shop", "SHOP-2") is not None
    assert await retention.look() == 0


async def test_a_task_that_cannot_be_read_keeps_no_other_from_being_forgotten(
    bus: Bus, clock: Any, eventually: Callable[..., Awaitable[Any]]
) -> None:
    await _ended(bus, "SHOP-1", clock)
    await _ended(bus, "SHOP-2", clock)
    await bus.request("task.shop.SHOP-3", b"not a task")
    await _deal_with_all(bus, eventually)
    await clock.advance(timedelta(days=91).total_seconds())
    assert await Retention(bus, clock, "engine-decide", keep_days=90).look() == 2


async def test_an_event_nobody_has_dealt_with_is_not_forgotten(
    bus: Bus, clock: Any, eventually: Callable[..., Awaitable[Any]]
) -> None:
    await _ended(bus, "SHOP-1", clock)
    await _ended(bus, "SHOP-2", clock)
    await _deal_with_all(bus, eventually)
    await clock.advance(timedelta(days=91).total_seconds())
    await EventLog(bus).publish(_event(CommentAdded, "SHOP-1", clock, comment_id="c", text="still here?"))

    assert await Retention(bus, clock, "engine-decide", keep_days=90).look() == 2
    ((_, _, left),) = await EventLog(bus).history("shop", "SHOP-1")
    assert isinstance(left, CommentAdded)


async def test_a_task_that_was_taken_up_again_is_kept_whole(
    bus: Bus, clock: Any, eventually: Callable[..., Awaitable[Any]]
) -> None:
    """Whether that was long before anybody looked, or between the look and the forgetting."""
    tasks = TaskStore(bus)
    for key in ("SHOP-1", "SHOP-2"):
        await _ended(bus, key, clock, how=CloseKind.CANCELLED)
    await _deal_with_all(bus, eventually)
    await clock.advance(timedelta(days=91).total_seconds())
    looked_at = await tasks.load("shop", "SHOP-2")
    assert looked_at is not None
    for key in ("SHOP-1", "SHOP-2"):
        stored = await tasks.load("shop", key)
        assert stored is not None
        again = structs.replace(_event(IssueStarted, key, clock, issue_id="i", title="More"), event_id=f"again-{key}")
        task = decide(default_pipeline(), stored.record.task, again).task
        assert task is not None
        await tasks.commit(TaskRecord(task=task, event=again), stored.seq)
    assert await Retention(bus, clock, "engine-decide", keep_days=90).look() == 0
    await forget(bus, "shop", "SHOP-2", event_seq=0, task_seq=looked_at.seq)
    assert [stored.record.task.key for stored in await tasks.all()] == ["SHOP-1", "SHOP-2"]
