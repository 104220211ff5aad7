"""Events stored together are stored as if each had come alone: once, in order, with its own answer."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from msgspec import structs

from conveyor.contracts.errors import PermanentError, TransientError
from conveyor.contracts.events import AnyEvent, BranchPushed, Origin
from conveyor.contracts.ids import digest
from conveyor.contracts.streams import EVENTS
from conveyor.servicekit.bus import Bus, EventLog, GroupCommit, connect, provision, scan
from conveyor.servicekit.clock import SYSTEM_CLOCK
from conveyor.servicekit.nats_process import NatsProcess
from conveyor.servicekit.sections import NatsSettings

Eventually = Callable[..., Awaitable[Any]]


def pushed(number: int, key: str = "SHOP-1") -> AnyEvent:
    name, now = digest(key, str(number)), SYSTEM_CLOCK.now()
    told = {"event_id": name, "project": "shop", "key": key, "at": now, "received_at": now, "source": "gitea"}
    return BranchPushed(**told, origin=Origin.WEBHOOK, trace_id=name, branch="b", before="", sha=str(number))


async def shas(bus: Bus, key: str = "SHOP-1") -> list[str]:
    history = await EventLog(bus).history("shop", key)
    return [event.sha for _, _, event in history if isinstance(event, BranchPushed)]


@pytest.mark.behaviour("GW-3")
async def test_many_at_once_are_stored_in_order_each_with_its_own_place(bus: Bus) -> None:
    log = GroupCommit(bus)
    answers = await asyncio.gather(*(log.publish(pushed(number)) for number in range(250)))
    assert [answer.seq for answer in answers] == list(range(1, 251))
    assert not any(answer.duplicate for answer in answers)
    assert await shas(bus) == [str(number) for number in range(250)]
    batches = {message.headers.get("Nats-Batch-Id") async for message in scan(bus, EVENTS.name, EVENTS.subjects)} - {
        None
    }
    assert len(batches) == 3, "a hundred at most go together, and the first went alone"


@pytest.mark.behaviour("GW-4")
async def test_a_known_fact_among_others_is_a_duplicate_and_keeps_none_of_them_out(bus: Bus) -> None:
    log = GroupCommit(bus)
    await asyncio.gather(*(log.publish(pushed(number)) for number in range(3)))
    answers = await asyncio.gather(*(log.publish(pushed(number)) for number in (9, 1, 10, 2, 11, 10)))
    assert [answer.duplicate for answer in answers] == [False, True, False, True, False, True]
    assert sorted(await shas(bus), key=int) == ["0", "1", "2", "9", "10", "11"]
    again = await EventLog(bus).publish(pushed(11))
    assert again.duplicate, "what was stored together is known alone"


async def test_one_that_is_too_large_keeps_none_of_the_others_out(bus: Bus) -> None:
    log = GroupCommit(bus)
    events = [pushed(number) for number in range(4)]
    events[2] = structs.replace(events[2], delivery_id="x" * 2**20)
    answers = await asyncio.gather(*map(log.publish, events), return_exceptions=True)
    assert isinstance(answers[2], PermanentError)
    with pytest.raises(PermanentError):
        await log.publish_in_order([pushed(9), events[2]])
    assert await shas(bus) == ["0", "1", "3", "9"]


async def test_a_stream_that_takes_no_batches_gets_them_one_by_one(bus: Bus) -> None:
    info = msgspec.json.decode(await bus.api("STREAM.INFO.EVENTS"))["config"]
    await bus.api("STREAM.UPDATE.EVENTS", {**info, "allow_atomic": False})
    log = GroupCommit(bus)
    answers = await asyncio.gather(*(log.publish(pushed(number)) for number in range(20)))
    assert sorted(answer.seq for answer in answers) == list(range(1, 21))


async def test_nobody_waits_longer_than_asked(bus: Bus, nats: NatsProcess) -> None:
    log = GroupCommit(bus)
    await bus.api("STREAM.DELETE.EVENTS")
    answers = await asyncio.gather(*(log.publish(pushed(n), 0.3) for n in range(5)), return_exceptions=True)
    assert all(isinstance(answer, TransientError) for answer in answers)
    await provision(bus)
    assert (await log.publish(pushed(1))).seq == 1


async def test_a_bus_that_breaks_fails_everybody_and_serves_the_next(
    own_nats: NatsProcess, eventually: Eventually
) -> None:
    bus = await connect(NatsSettings(url=own_nats.url), name="test")
    try:
        await provision(bus)
        log = GroupCommit(bus)
        telling = asyncio.gather(*(log.publish(pushed(n), 2.0) for n in range(300)), return_exceptions=True)
        await asyncio.sleep(0)
        await own_nats.kill()
        answers = await telling
        assert any(isinstance(answer, TransientError) for answer in answers)
        await own_nats.start()
        await eventually(lambda: bus.is_connected)
        await asyncio.gather(*(log.publish(pushed(number)) for number in range(300)))
        assert sorted(await shas(bus), key=int) == [str(number) for number in range(300)]
    finally:
        await bus.close()


@pytest.mark.behaviour("GW-3", "GW-4")
async def test_a_row_of_events_is_stored_in_its_order_whatever_of_it_is_known(bus: Bus) -> None:
    log = GroupCommit(bus)
    await log.publish(pushed(7))
    await log.publish(pushed(8))
    numbers = [*range(20), 3]
    answers = await log.publish_in_order([pushed(number) for number in numbers])
    assert [number for number, one in zip(numbers, answers, strict=True) if one.duplicate] == [7, 8, 3]
    assert await shas(bus) == ["7", "8", *(str(number) for number in range(20) if number not in {7, 8})]
    assert await log.publish_in_order([]) == []


async def together(bus: Bus) -> list[int]:
    """How many events each batch holds, and 1 for each that was stored alone, in their order."""
    names = [message.headers.get("Nats-Batch-Id") async for message in scan(bus, EVENTS.name, EVENTS.subjects)]
    groups = [(name, len(list(group))) for name, group in itertools.groupby(names)]
    return [size for name, count in groups for size in ([1] * count if name is None else [count])]


async def test_who_was_just_answered_joins_the_next_batch(bus: Bus) -> None:
    """Without the pause one of them would go alone before each batch of the others."""
    log = GroupCommit(bus)

    async def tells(sender: int) -> None:
        for number in range(5):
            await log.publish(pushed(number, f"SHOP-{sender}"))

    await asyncio.gather(*(tells(sender) for sender in range(1, 21)))
    first, *batches = await together(bus)
    assert first == 1
    assert sum(batches) == 99
    assert min(batches) > 1, "none but the very first went alone"
    assert len(batches) <= 6


async def test_one_sender_by_itself_goes_alone_and_waits_for_nobody(bus: Bus) -> None:
    log = GroupCommit(bus)
    for number in range(20):
        await log.publish(pushed(number))
    assert await together(bus) == [1] * 20
