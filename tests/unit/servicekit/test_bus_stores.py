import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from conveyor.contracts.commands import ArmTimer
from conveyor.contracts.errors import MessageError, PermanentError, TransientError
from conveyor.contracts.events import Origin, TimerFired
from conveyor.servicekit.bus import Bus, CommandQueue, Conflict, EventLog, Start, TaskStore, connect, scan
from conveyor.servicekit.bus.wire import Message
from conveyor.servicekit.sections import NatsSettings

Make = Callable[..., Any]


async def test_the_same_fact_is_stored_once_however_often_it_is_published(bus: Bus, event: Make) -> None:
    log = EventLog(bus)
    first = await log.publish(event(number=1))
    again = await asyncio.gather(*(log.publish(event(number=1)) for _ in range(20)))
    assert not first.duplicate
    assert {(stored.seq, stored.duplicate) for stored in again} == {(first.seq, True)}
    assert len(await log.history("shop", "SHOP-1")) == 1


async def test_events_of_a_task_are_read_one_after_the_other_and_no_other_task_is_among_them(
    bus: Bus, event: Make
) -> None:
    log = EventLog(bus)
    for number in range(1, 4):
        await log.publish(event("SHOP-1", number))
        await log.publish(event("SHOP-12", number))
    seen, seq = [], 0
    while (found := await log.next_after("shop", "SHOP-1", seq)) is not None:
        seq, read = found
        seen.append(read)
    assert seen == [event("SHOP-1", number) for number in (1, 2, 3)]
    assert [read for _, _, read in await log.history("shop", "SHOP-1")] == seen


async def test_an_unreadable_event_is_handed_over_as_what_is_wrong_with_it(bus: Bus) -> None:
    await bus.request("event.shop.SHOP-1.issue_changed", b'{"type":"IssueChanged","v":99}')
    found = await EventLog(bus).next_after("shop", "SHOP-1", 0)
    assert found is not None
    assert isinstance(found[1], MessageError)
    assert "version 99" in str(found[1])


async def test_of_many_commits_on_one_revision_exactly_one_wins(bus: Bus, record: Make) -> None:
    store = TaskStore(bus)
    first = await store.commit(record(revision=1), 0)
    results = await asyncio.gather(
        *(store.commit(record(revision=2), first) for _ in range(30)), return_exceptions=True
    )
    assert len([result for result in results if isinstance(result, int)]) == 1
    assert len([result for result in results if isinstance(result, Conflict)]) == 29
    loaded = await store.load("shop", "SHOP-1")
    assert loaded is not None
    assert loaded.record.task.revision == 2
    with pytest.raises(Conflict):
        await store.commit(record(revision=1), 0)


async def test_a_task_can_be_listed_and_its_revisions_read_back(bus: Bus, record: Make) -> None:
    store = TaskStore(bus)
    assert await store.load("shop", "SHOP-1") is None
    assert await store.all() == []
    seq = await store.commit(record("SHOP-1", 1), 0)
    await store.commit(record("SHOP-2", 1), 0)
    await store.commit(record("SHOP-1", 2), seq)
    assert [(stored.record.task.key, stored.record.task.revision) for stored in await store.all("shop")] == [
        ("SHOP-2", 1),
        ("SHOP-1", 2),
    ]
    assert await store.all("other") == []
    later = await store.since(seq)
    assert [(stored.record.task.key, stored.record.task.revision) for stored in later] == [("SHOP-2", 1), ("SHOP-1", 2)]
    assert await store.since(later[-1].seq) == []
    assert [revision.record.task.revision for revision in await store.history("shop", "SHOP-1")] == [1, 2]


async def test_a_thousand_tasks_are_listed_completely(bus: Bus, record: Make) -> None:
    store = TaskStore(bus)
    await asyncio.gather(*(store.commit(record(f"SHOP-{number}"), 0) for number in range(1, 1001)))
    assert len({stored.record.task.key for stored in await store.all()}) == 1000


async def test_a_task_that_cannot_be_read_hides_no_other(bus: Bus, record: Make) -> None:
    store = TaskStore(bus)
    await bus.request("task.shop.SHOP-1", b'{"type":"TaskRecord","v":99}')
    await store.commit(record("SHOP-2"), 0)
    assert [stored.record.task.key for stored in await store.all()] == ["SHOP-2"]
    with pytest.raises(MessageError):
        await store.load("shop", "SHOP-1")


@pytest.mark.behaviour("OP-6")
async def test_subjects_and_headers_name_task_and_trace(bus: Bus, record: Make, event: Make) -> None:
    await TaskStore(bus).commit(record(), 0)
    await EventLog(bus).publish(event())
    for stream, subject in (("TASKS", "task.shop.SHOP-1"), ("EVENTS", "event.shop.SHOP-1.issue_changed")):
        (found,) = [message async for message in scan(bus, stream, (">",))]
        assert found.subject == subject
        assert found.headers["Conveyor-Task"] == "shop/SHOP-1"
        assert found.headers["Conveyor-Trace"] == "trace-1"
        assert msgspec.json.decode(found.body)["type"] == found.headers["Conveyor-Type"]


async def test_a_command_is_queued_once(bus: Bus, command: Make) -> None:
    queue = CommandQueue(bus)
    answers = await asyncio.gather(*(queue.publish(command()) for _ in range(20)))
    assert sorted(answers) == [False] * 19 + [True]
    assert await queue.publish(command(position=1)) is True
    assert len([message async for message in scan(bus, "COMMANDS", (">",))]) == 2


def timer_in(seconds: float) -> tuple[ArmTimer, TimerFired]:
    now = datetime.now(UTC)  # noqa: TID251 - the server's own clock decides when a timer fires
    at = now + timedelta(seconds=seconds)
    common: dict[str, Any] = {"project": "shop", "key": "SHOP-1", "revision": 3, "trace_id": "trace-1"}
    arm = ArmTimer(command_id="shop-SHOP-1-3-0", issued_at=now, timer="retry", fires_at=at, run_id="r", **common)
    fires = TimerFired(
        event_id="timer-1",
        at=at,
        received_at=at,
        source="timer",
        origin=Origin.TIMER,
        timer="retry",
        run_id="r",
        **common,
    )
    return arm, fires


def in_flight(bus: Bus, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Answer so many writes as a cluster does while another write to the same subject is on its way."""
    request, left = bus.request, iter(range(times))

    async def answer(subject: str, *args: Any) -> Any:
        if subject.startswith("$JS") or next(left, None) is None:
            return await request(subject, *args)
        return SimpleNamespace(data=b'{"error":{"code":400,"err_code":10164,"description":"write in flight"}}')

    monkeypatch.setattr(bus, "request", answer)


async def test_a_command_behind_a_write_in_flight_is_believed_only_when_it_is_there(
    bus: Bus, command: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cluster says the same of a twin that is stored and of a write that may still fail."""
    queue = CommandQueue(bus)
    in_flight(bus, monkeypatch, 2)
    assert await queue.publish(command())
    in_flight(bus, monkeypatch, 1)
    assert not await queue.publish(command())
    in_flight(bus, monkeypatch, 99)
    with pytest.raises(TransientError, match="in flight"):
        await queue.publish(command(position=7))


async def test_a_transition_behind_a_write_in_flight_is_decided_anew(
    bus: Bus, record: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_flight(bus, monkeypatch, 1)
    with pytest.raises(Conflict):
        await TaskStore(bus).commit(record(), 0)


async def test_a_timer_fires_its_event_once_on_the_subject_of_the_task(bus: Bus, eventually: Make) -> None:
    queue, log = CommandQueue(bus), EventLog(bus)
    arm, fires = timer_in(1.2)
    await queue.arm(arm, fires)
    await queue.arm(arm, fires)
    assert await log.next_after("shop", "SHOP-1", 0) is None

    async def fired() -> list[Message]:
        return [message async for message in scan(bus, "EVENTS", ("event.>",))]

    (found,) = await eventually(fired, timeout_s=5)
    assert found.subject == "event.shop.SHOP-1.timer_fired"
    assert found.at >= arm.fires_at
    assert found.headers["Conveyor-Trace"] == "trace-1"
    await queue.arm(arm, fires)  # what was armed once and has fired is not armed again
    read = await log.next_after("shop", "SHOP-1", 0)
    assert read is not None
    assert read[1] == fires
    assert [message async for message in scan(bus, "EVENTS", ("timer.>",))] == []


async def test_a_timer_whose_time_is_past_fires_at_once(bus: Bus, eventually: Make) -> None:
    arm, fires = timer_in(-60)
    await CommandQueue(bus).arm(arm, fires)
    await eventually(lambda: EventLog(bus).next_after("shop", "SHOP-1", 0), timeout_s=3)


async def test_a_timer_is_no_work(bus: Bus) -> None:
    with pytest.raises(PermanentError, match="arm it"):
        await CommandQueue(bus).publish(timer_in(1)[0])


async def test_following_tasks_shows_what_is_committed_from_now_on(bus: Bus, record: Make, eventually: Make) -> None:
    store = TaskStore(bus)
    await store.commit(record("SHOP-1"), 0)
    seen: list[str] = []

    async def watch(start: Start) -> None:
        async for revision in store.follow(start=start):
            key = revision.record.task.key
            seen.append(key)

    live = asyncio.create_task(watch(Start.NEW))
    await eventually(lambda: _followers(bus))
    await store.commit(record("SHOP-2"), 0)
    await eventually(lambda: seen == ["SHOP-2"])
    live.cancel()
    await asyncio.wait({live})


async def _followers(bus: Bus) -> bool:
    info = msgspec.json.decode(await bus.api("CONSUMER.LIST.TASKS"))
    return any(consumer["num_waiting"] for consumer in info["consumers"] or ())


async def test_without_streams_a_publish_is_transient(nats: Any, event: Make) -> None:
    connection = await connect(NatsSettings(url=nats.url), name="test")
    with pytest.raises(TransientError, match="nobody answers"):
        await EventLog(connection).publish(event())
    await connection.close()
