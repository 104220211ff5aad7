"""What nobody can process is kept with its reason, and replayed without harm."""

from collections.abc import Callable
from typing import Any

import pytest

from conveyor.contracts import codec
from conveyor.contracts.errors import PermanentError
from conveyor.servicekit.bus import Bus, ConsumerSpec, DeadLetters, Delivery, EventLog, TaskStore
from tests.rigs.consuming import consuming, is_settled

Make = Callable[..., Any]


async def test_what_cannot_succeed_goes_to_the_dead_letters_and_can_be_replayed(
    bus: Bus, event: Make, eventually: Make
) -> None:
    broken = True
    handled: list[Delivery] = []

    async def handle(delivery: Delivery) -> None:
        if broken:
            raise PermanentError("no such\nissue")
        handled.append(delivery)

    dead = DeadLetters(bus)
    stored = await EventLog(bus).publish(event())
    async with consuming(bus, handle):
        (letter,) = await eventually(dead.list)
        await eventually(lambda: is_settled(bus))
        assert letter.subject == "event.shop.SHOP-1.issue_changed"
        assert (letter.stream, letter.stream_seq, letter.consumer) == ("EVENTS", stored.seq, "decide")
        assert letter.error == "PermanentError: no such issue"
        assert letter.headers["Conveyor-Task"] == "shop/SHOP-1"
        broken = False
        await dead.replay(letter.seq)
        await eventually(lambda: handled)
    assert codec.decode_event(handled[0].body) == event()
    assert handled[0].headers["Conveyor-Replayed"] == str(letter.seq)
    assert await dead.list() == []
    with pytest.raises(PermanentError, match="no dead letter"):
        await dead.replay(letter.seq)


@pytest.mark.parametrize("has_moved_on", [False, True])
async def test_a_replayed_revision_never_turns_its_task_back(
    bus: Bus, record: Make, eventually: Make, has_moved_on: bool
) -> None:
    async def refuse(_delivery: Delivery) -> None:
        raise PermanentError("cannot be relayed")

    store, dead = TaskStore(bus), DeadLetters(bus)
    spec = ConsumerSpec(stream="TASKS", durable="relay", subjects=("task.>",), ack_wait_s=2)
    seq = await store.commit(record(revision=1), 0)
    async with consuming(bus, refuse, spec):
        (letter,) = await eventually(dead.list)
    if not has_moved_on:
        assert await dead.replay(letter.seq) > seq
        return
    await store.commit(record(revision=2), seq)
    with pytest.raises(PermanentError, match="moved on"):
        await dead.replay(letter.seq)
    latest = await store.load("shop", "SHOP-1")
    assert latest is not None
    assert latest.record.task.revision == 2


async def test_a_message_too_large_to_be_buried_whole_breaks_no_connection(bus: Bus, eventually: Make) -> None:
    """It fits into its own stream, but not into DEAD with the reason beside it: the server would close the door."""
    broken: list[str] = []

    async def refuse(_delivery: Delivery) -> None:
        raise PermanentError("of no use " * 50)

    bus.on_reconnect(lambda: broken.append("connection"))
    await bus.request("event.shop.SHOP-1.huge", b"x" * (1024 * 1024 - 100))
    async with consuming(bus, refuse):
        (letter,) = await eventually(DeadLetters(bus).list)
        await eventually(lambda: is_settled(bus))
    assert (letter.body, letter.stream_seq) == (b"", 1)
    with pytest.raises(PermanentError, match="too large"):
        await DeadLetters(bus).replay(letter.seq)
    assert not broken


async def test_what_cannot_be_decoded_goes_to_the_dead_letters_also_with_a_lane(bus: Bus, eventually: Make) -> None:
    async def handle(delivery: Delivery) -> None:
        codec.decode_event(delivery.body)

    def lane(delivery: Delivery) -> str:
        return codec.decode_event(delivery.body).key

    await bus.request("event.shop.SHOP-1.nonsense", b"\xff not JSON")
    async with consuming(bus, handle, lane=lane):
        (letter,) = await eventually(DeadLetters(bus).list)
        await eventually(lambda: is_settled(bus))
    assert letter.error.startswith("MessageError: expected an event")
    assert letter.body == b"\xff not JSON"
