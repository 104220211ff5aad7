"""Order over crashes: what a dead service had in hand is handled before what came after it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from conveyor.contracts.errors import PermanentError, TransientError
from conveyor.servicekit.bus import Bus, ConsumerSpec, DeadLetters, Delivery, InOrder, Leave, consume, hands
from conveyor.servicekit.bus.consumer import ensure_consumer

Eventually = Callable[..., Awaitable[Any]]
AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SPEC = ConsumerSpec(stream="TASKS", durable="ordered", subjects=("task.>",), ack_wait_s=2.0)


async def store(bus: Bus, *texts: str, task: str = "one") -> None:
    for text in texts:
        await bus.request(f"task.shop.{task}", text.encode())


class Worker:
    """Writes down what it handles; leaves some in hand as a crash would, and refuses others for good."""

    def __init__(self, *, drops: str = "", refuses: str = "", breaks_on: str = "") -> None:
        self.handled: list[str] = []
        self._drops, self._refuses, self._breaks_on = drops, refuses, breaks_on

    async def __call__(self, delivery: Delivery) -> None:
        text = delivery.body.decode()
        self.handled.append(text)
        if text in self._drops:
            raise Leave
        if text in self._refuses:
            raise PermanentError("cannot")
        if text in self._breaks_on:
            raise KeyError(text)

    async def until(self, bus: Bus, eventually: Eventually, *, is_done: Callable[[], bool]) -> None:
        stopping = asyncio.Event()
        handler = InOrder(bus, SPEC, lambda delivery: delivery.subject, self)
        life = asyncio.create_task(consume(bus, SPEC, handler, concurrency=8, lane=_lane, stopping=stopping))
        with suppress(AssertionError):
            await eventually(is_done, timeout_s=8)
        stopping.set()
        await life


def _lane(delivery: Delivery) -> str:
    return delivery.subject


async def test_what_a_dead_service_had_in_hand_comes_first(bus: Bus, eventually: Eventually) -> None:
    await store(bus, "a", "b")
    dying = Worker(drops="ab")
    await dying.until(bus, eventually, is_done=lambda: len(dying.handled) >= 2)
    await store(bus, "c", "d")
    await store(bus, "x", task="other")
    heir = Worker()
    await heir.until(bus, eventually, is_done=lambda: "d" in heir.handled and "x" in heir.handled)
    mine = [text for text in heir.handled if text != "x"]
    assert mine[:4] == ["a", "b", "c", "d"]


async def test_what_was_acknowledged_is_not_handled_again(bus: Bus, eventually: Eventually) -> None:
    await store(bus, "a", "b")
    first = Worker()
    await first.until(bus, eventually, is_done=lambda: len(first.handled) >= 2)
    await store(bus, "c")
    second = Worker()
    await second.until(bus, eventually, is_done=lambda: bool(second.handled))
    assert second.handled == ["c"]


async def test_one_that_can_never_be_handled_does_not_hold_up_the_next(bus: Bus, eventually: Eventually) -> None:
    await store(bus, "a")
    dying = Worker(drops="a")
    await dying.until(bus, eventually, is_done=lambda: bool(dying.handled))
    await store(bus, "b", "c")
    heir = Worker(refuses="a")
    await heir.until(bus, eventually, is_done=lambda: "c" in heir.handled)
    assert heir.handled[:3] == ["a", "b", "c"]


async def test_one_that_breaks_its_handler_holds_up_the_next_until_it_is_buried_and_no_longer(
    bus: Bus, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hands, "SURPRISES", 2)
    monkeypatch.setattr(hands, "RETRY_FIRST_S", 0.1)
    worker = Worker(breaks_on="b")
    await store(bus, "a", "b", "c", "d")
    await worker.until(bus, eventually, is_done=lambda: "d" in worker.handled)
    assert worker.handled == ["a", "b", "b", "c", "d"]
    assert [letter.body for letter in await DeadLetters(bus).list()] == [b"b"]


async def test_what_is_to_be_tried_again_is_not_taken_for_done(bus: Bus) -> None:
    """Also when the handler returns its refusal instead of raising it."""
    handled: list[int] = []

    async def refuse_the_first(delivery: Delivery) -> TransientError | None:
        handled.append(delivery.seq)
        return TransientError("later") if handled == [1] else None

    await store(bus, "a", "b")
    await ensure_consumer(bus, SPEC)
    in_order = InOrder(bus, SPEC, lambda delivery: delivery.subject, refuse_the_first)
    for seq in (1, 2):
        await in_order(Delivery(subject="task.shop.one", body=b"", seq=seq, delivered=1, at=AT))
    assert handled == [1, 1, 2]
