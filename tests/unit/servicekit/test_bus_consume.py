import asyncio
import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from conveyor.contracts.errors import TransientError
from conveyor.servicekit.bus import (
    Bus,
    ConsumerSpec,
    DeadLetters,
    Delivery,
    EventLog,
    Leave,
    Outcome,
    consume,
    consume_by_priority,
)
from conveyor.servicekit.bus import hands as hands_module
from tests.rigs.consuming import SPEC, consuming, is_settled

Make = Callable[..., Any]
AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


async def test_what_is_handled_is_acknowledged_and_not_delivered_again(bus: Bus, event: Make, eventually: Make) -> None:
    seen: list[Delivery] = []

    async def handle(delivery: Delivery) -> None:
        seen.append(delivery)

    async with consuming(bus, handle, concurrency=8):
        for number in range(1, 21):
            await EventLog(bus).publish(event(number=number))
        await eventually(lambda: len(seen) == 20)
        await eventually(lambda: is_settled(bus))
    assert [delivery.seq for delivery in seen] == list(range(1, 21))
    assert {delivery.delivered for delivery in seen} == {1}
    assert seen[0].subject == "event.shop.SHOP-1.issue_changed"
    assert seen[0].headers["Conveyor-Task"] == "shop/SHOP-1"
    assert (seen[0].stream, seen[0].consumer) == ("EVENTS", "decide")


@pytest.mark.parametrize("is_raised", [True, False])
async def test_a_transient_error_brings_the_message_back_after_the_wait_asked_for(
    bus: Bus, event: Make, eventually: Make, is_raised: bool
) -> None:
    times: list[float] = []

    async def handle(delivery: Delivery) -> Outcome:
        times.append(asyncio.get_running_loop().time())
        if delivery.delivered < 3:
            error = TransientError("not yet", retry_after_s=0.3)
            if is_raised:
                raise error
            return error
        return None

    await EventLog(bus).publish(event())
    async with consuming(bus, handle):
        await eventually(lambda: len(times) == 3)
        await eventually(lambda: is_settled(bus))
    assert all(0.29 <= later - earlier < 1 for earlier, later in itertools.pairwise(times))


async def test_an_unforeseen_error_is_tried_again_and_ends_in_the_dead_letters(
    bus: Bus, event: Make, eventually: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hands_module, "SURPRISES", 3)
    monkeypatch.setattr(hands_module, "RETRY_FIRST_S", 0.05)
    tries: list[int] = []

    async def handle(delivery: Delivery) -> None:
        tries.append(delivery.delivered)
        raise KeyError("surprise")

    await EventLog(bus).publish(event())
    async with consuming(bus, handle):
        (letter,) = await eventually(DeadLetters(bus).list)
        await eventually(lambda: is_settled(bus))
    assert tries == [1, 2, 3]
    assert letter.deliveries == 3
    assert "KeyError" in letter.error


async def test_one_lane_is_serial_and_in_order_while_lanes_run_side_by_side(
    bus: Bus, event: Make, eventually: Make
) -> None:
    done: dict[str, list[int]] = {}
    running: set[str] = set()
    most = 0

    async def handle(delivery: Delivery) -> None:
        nonlocal most
        key = delivery.subject.split(".")[2]
        assert key not in running
        running.add(key)
        most = max(most, len(running))
        await asyncio.sleep(0.005)  # waits: the handler's work, so that handlers overlap
        running.discard(key)
        done.setdefault(key, []).append(delivery.seq)

    for number in range(1, 26):
        for key in ("SHOP-1", "SHOP-2", "SHOP-3", "SHOP-4"):
            await EventLog(bus).publish(event(key, number))
    async with consuming(bus, handle, concurrency=16, lane=lambda delivery: delivery.subject.split(".")[2]):
        await eventually(lambda: sum(map(len, done.values())) == 100)
    assert all(seqs == sorted(seqs) for seqs in done.values())
    assert most > 1


async def test_a_lane_keeps_its_order_across_a_retry_and_holds_up_no_other(
    bus: Bus, event: Make, eventually: Make
) -> None:
    done: list[tuple[str, int]] = []
    failed = False

    async def handle(delivery: Delivery) -> None:
        nonlocal failed
        key = delivery.subject.split(".")[2]
        if key == "SHOP-1" and not failed:
            failed = True
            raise TransientError("rate limit", retry_after_s=0.5)
        done.append((key, delivery.seq))

    for number in range(1, 4):
        await EventLog(bus).publish(event("SHOP-1", number))
    for number in range(1, 4):
        await EventLog(bus).publish(event("SHOP-2", number))
    async with consuming(bus, handle, concurrency=4, lane=lambda delivery: delivery.subject.split(".")[2]):
        await eventually(lambda: len(done) == 6)
        await eventually(lambda: is_settled(bus))
    assert done == [("SHOP-2", 4), ("SHOP-2", 5), ("SHOP-2", 6), ("SHOP-1", 1), ("SHOP-1", 2), ("SHOP-1", 3)]


async def test_a_cancellation_inside_a_handler_is_a_surprise_and_holds_up_no_lane(
    bus: Bus, event: Make, eventually: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it waited for was cancelled, not the handler: what waits behind it in its lane still gets its turn."""
    monkeypatch.setattr(hands_module, "RETRY_FIRST_S", 0.2)
    tries: list[int] = []

    async def handle(delivery: Delivery) -> None:
        tries.append(delivery.seq)
        if len(tries) == 1:
            gone = asyncio.get_running_loop().create_future()
            gone.cancel()
            await gone

    for number in range(1, 4):
        await EventLog(bus).publish(event(number=number))
    async with consuming(bus, handle, concurrency=4, lane=lambda _delivery: "one"):
        await eventually(lambda: len(tries) == 4)
        await eventually(lambda: is_settled(bus))
    assert tries == [1, 1, 2, 3]


async def test_lanes_whose_next_try_is_past_are_forgotten(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another consumer may have had that try; a lane that never comes again must not be kept for ever."""
    monkeypatch.setattr(hands_module, "PARKED", 10)

    async def refuse(_delivery: Delivery) -> None:
        raise TransientError("not now", retry_after_s=0.0)

    stopping = asyncio.Event()
    hands = hands_module.Hands(bus, refuse, lane=lambda one: one.subject, freed=lambda: None, stopping=stopping)
    for number in range(1, 101):
        hands.take(
            Delivery(subject=f"lane.{number}", body=b"", seq=number, delivered=1, at=AT, reply="nobody", bus=bus)
        )
        await hands.finish()
    assert len(hands._parked) <= 11


async def test_a_long_job_is_kept_alive_beyond_ack_wait(bus: Bus, event: Make, eventually: Make) -> None:
    spec = msgspec.structs.replace(SPEC, ack_wait_s=0.6)
    seen: list[int] = []

    async def handle(delivery: Delivery) -> None:
        seen.append(delivery.delivered)
        await asyncio.sleep(2)  # waits: work that outlives the acknowledgement time

    await EventLog(bus).publish(event())
    async with consuming(bus, handle, spec, concurrency=2):
        await eventually(lambda: seen)
        await eventually(lambda: is_settled(bus, spec))
    assert seen == [1]


async def test_what_is_left_alone_comes_again_after_ack_wait(bus: Bus, event: Make, eventually: Make) -> None:
    spec = msgspec.structs.replace(SPEC, ack_wait_s=0.5)
    seen: list[int] = []

    async def handle(delivery: Delivery) -> None:
        seen.append(delivery.delivered)
        if delivery.delivered == 1:
            raise Leave

    await EventLog(bus).publish(event())
    async with consuming(bus, handle, spec):
        await eventually(lambda: seen == [1, 2], timeout_s=5)


async def test_stopping_finishes_what_has_begun_and_gives_the_rest_back_at_once(
    bus: Bus, event: Make, eventually: Make
) -> None:
    begun: list[int] = []
    go_on = asyncio.Event()

    async def handle(delivery: Delivery) -> None:
        begun.append(delivery.seq)
        await go_on.wait()

    for number in range(1, 11):
        await EventLog(bus).publish(event(number=number))
    async with consuming(bus, handle, concurrency=5, lane=lambda _: "one") as stopping:
        await eventually(lambda: begun)
        stopping.set()
        go_on.set()
    assert begun == [1]
    rest: list[int] = []

    async def take(delivery: Delivery) -> None:
        rest.append(delivery.seq)

    async with consuming(bus, take, concurrency=5):
        await eventually(lambda: sorted(rest) == list(range(2, 11)), timeout_s=1)


async def test_cancelling_gives_back_what_is_in_hand(bus: Bus, event: Make, eventually: Make) -> None:
    begun: list[int] = []

    async def forever(delivery: Delivery) -> None:
        begun.append(delivery.delivered)
        await asyncio.sleep(60)  # waits: work that never ends

    for number in (1, 2, 3):
        await EventLog(bus).publish(event(number=number))
    task = asyncio.create_task(
        consume(bus, SPEC, forever, concurrency=3, lane=lambda _: "one", stopping=asyncio.Event())
    )
    await eventually(lambda: begun)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    rest: list[int] = []

    async def take(delivery: Delivery) -> None:
        rest.append(delivery.seq)

    async with consuming(bus, take, concurrency=3):
        await eventually(lambda: sorted(rest) == [1, 2, 3], timeout_s=1)


async def test_a_deleted_consumer_is_made_again(bus: Bus, event: Make, eventually: Make) -> None:
    seen: set[int] = set()

    async def handle(delivery: Delivery) -> None:
        seen.add(delivery.seq)

    async with consuming(bus, handle, concurrency=4):
        await EventLog(bus).publish(event(number=1))
        await eventually(lambda: seen == {1})
        await bus.api("CONSUMER.DELETE.EVENTS.decide")
        await EventLog(bus).publish(event(number=2))
        await eventually(lambda: seen == {1, 2})


async def test_a_changed_consumer_is_updated_and_keeps_settings_unknown_to_us(
    bus: Bus, event: Make, eventually: Make
) -> None:
    async def handle(_: Delivery) -> None:
        return

    async with consuming(bus, handle):
        await eventually(lambda: _has(bus, max_ack_pending=1000))
    config = msgspec.json.decode(await bus.api("CONSUMER.INFO.EVENTS.decide"))["config"]
    config["metadata"] = {**config.get("metadata", {}), "owner": "somebody"}
    await bus.api("CONSUMER.CREATE.EVENTS.decide", {"stream_name": "EVENTS", "config": config})
    async with consuming(bus, handle, msgspec.structs.replace(SPEC, max_ack_pending=7)):
        await eventually(lambda: _has(bus, max_ack_pending=7))
    config = msgspec.json.decode(await bus.api("CONSUMER.INFO.EVENTS.decide"))["config"]
    assert config["metadata"]["owner"] == "somebody"


async def _has(bus: Bus, **wanted: int) -> bool:
    try:
        config = msgspec.json.decode(await bus.api("CONSUMER.INFO.EVENTS.decide"))["config"]
    except TransientError:
        return False
    return all(config[name] == value for name, value in wanted.items())


async def test_two_consumers_share_the_work(bus: Bus, event: Make, eventually: Make) -> None:
    by: list[tuple[str, int]] = []

    def handler(name: str) -> Any:
        async def handle(delivery: Delivery) -> None:
            by.append((name, delivery.seq))
            await asyncio.sleep(0.01)  # waits: the handler's work

        return handle

    async with consuming(bus, handler("a"), concurrency=2), consuming(bus, handler("b"), concurrency=2):
        for number in range(1, 41):
            await EventLog(bus).publish(event(number=number))
        await eventually(lambda: len(by) == 40)
    assert sorted(seq for _, seq in by) == list(range(1, 41))
    assert {name for name, _ in by} == {"a", "b"}


async def test_by_priority_takes_the_more_urgent_first_the_oldest_first_and_never_more_than_there_is_room(
    bus: Bus, eventually: Make
) -> None:
    specs = [
        ConsumerSpec(stream="COMMANDS", durable=f"run-{level}", subjects=(f"command.run.default.{level}.>",))
        for level in ("high", "normal", "low")
    ]
    room = 1
    done: list[str] = []
    running = 0

    async def handle(delivery: Delivery) -> None:
        nonlocal running
        running += 1
        assert running <= room
        await asyncio.sleep(0.01)  # waits: the handler's work, so that handlers overlap
        running -= 1
        done.append(delivery.subject.removeprefix("command.run.default."))

    for level in ("low", "normal", "high"):
        for number in (1, 2):
            await bus.request(f"command.run.default.{level}.{number}", b"{}")
    stopping = asyncio.Event()
    open_slots = 0
    task = asyncio.create_task(consume_by_priority(bus, specs, handle, slots=lambda: open_slots, stopping=stopping))
    await asyncio.sleep(0.2)  # waits: long enough to take something, were there room
    assert done == []  # no room, nothing taken
    assert await eventually(lambda: not done)
    open_slots = room
    await eventually(lambda: len(done) == 6)
    assert done == ["high.1", "high.2", "normal.1", "normal.2", "low.1", "low.2"]
    at = asyncio.get_running_loop().time()
    await bus.request("command.run.default.low.3", b"{}")
    await eventually(lambda: done[-1] == "low.3")
    assert asyncio.get_running_loop().time() - at < 0.5  # the bell, not the second's round
    stopping.set()
    async with asyncio.timeout(5):
        await task
    assert await is_settled(bus, specs[2])
