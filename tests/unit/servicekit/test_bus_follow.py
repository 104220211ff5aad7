import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from conveyor.contracts.errors import PermanentError
from conveyor.servicekit.bus import Bus, Message, Start, follow, scan
from conveyor.servicekit.bus.follow import WINDOW

Make = Callable[..., Any]


async def log_lines(bus: Bus, subject: str, first: int, last: int) -> None:
    for number in range(first, last + 1):
        await bus.request(subject, str(number).encode())


async def read(bus: Bus, start: Any, subjects: tuple[str, ...] = ("log.>",)) -> list[str]:
    return [message.body.decode() async for message in scan(bus, "LOGS", subjects, start=start)]


async def test_a_scan_begins_where_it_is_told_and_ends(bus: Bus) -> None:
    assert await read(bus, Start.ALL) == []
    await log_lines(bus, "log.shop.SHOP-1.a", 1, 5)
    await log_lines(bus, "log.shop.SHOP-2.b", 6, 8)
    assert await read(bus, Start.ALL) == list("12345678")
    assert await read(bus, 4) == list("45678")
    assert await read(bus, 0) == list("12345678")
    assert await read(bus, 9) == []
    assert await read(bus, Start.NEW) == []
    assert await read(bus, Start.LATEST) == ["5", "8"]
    assert await read(bus, Start.ALL, ("log.shop.SHOP-2.>",)) == ["6", "7", "8"]
    messages = [message async for message in scan(bus, "LOGS", ("log.>",))]
    assert await read(bus, messages[3].at) == list("45678")
    assert await read(bus, messages[-1].at + timedelta(seconds=1)) == []


async def test_a_scan_longer_than_its_window_is_complete_and_leaves_no_consumer(bus: Bus) -> None:
    await asyncio.gather(*(bus.request("log.shop.SHOP-1.a", b"x" * 1000) for _ in range(1500)))
    assert [message.seq async for message in scan(bus, "LOGS", ("log.>",))] == list(range(1, 1501))
    assert not msgspec.json.decode(await bus.api("CONSUMER.NAMES.LOGS"))["consumers"]


async def test_a_scan_ends_though_what_it_counted_on_is_removed_meanwhile(bus: Bus) -> None:
    await log_lines(bus, "log.shop.SHOP-1.a", 1, WINDOW)
    await log_lines(bus, "log.shop.SHOP-2.b", 1, 20)
    seen: list[str] = []
    async with asyncio.timeout(10):
        async for message in scan(bus, "LOGS", ("log.>",)):
            if not seen:
                await bus.api("STREAM.PURGE.LOGS", {"filter": "log.shop.SHOP-2.b"})
            seen.append(message.subject)
    assert seen == ["log.shop.SHOP-1.a"] * WINDOW


async def test_a_live_page_shows_what_was_there_and_what_comes_in_order(bus: Bus, eventually: Make) -> None:
    seen: list[Message] = []

    async def watch() -> None:
        async for message in follow(bus, "LOGS", ("log.shop.>",), start=2):
            seen.append(message)  # noqa: PERF401 - it never ends

    await log_lines(bus, "log.shop.SHOP-1.a", 1, 3)
    task = asyncio.create_task(watch())
    await eventually(lambda: len(seen) == 2)
    await log_lines(bus, "log.other.OTHER-1.a", 1, 3)
    await log_lines(bus, "log.shop.SHOP-1.a", 4, 600)
    await eventually(lambda: len(seen) == 599)
    assert [message.body.decode() for message in seen] == [str(number) for number in range(2, 601)]
    task.cancel()
    await asyncio.wait({task})
    assert not msgspec.json.decode(await bus.api("CONSUMER.NAMES.LOGS"))["consumers"]


async def test_a_live_page_goes_on_without_gap_when_its_consumer_vanishes(bus: Bus, eventually: Make) -> None:
    seen: list[str] = []

    async def watch() -> None:
        async for message in follow(bus, "LOGS", ("log.>",)):
            text = message.body.decode()
            seen.append(text)

    async def names() -> list[str]:
        found: list[str] = msgspec.json.decode(await bus.api("CONSUMER.NAMES.LOGS"))["consumers"] or []
        return found

    await log_lines(bus, "log.shop.SHOP-1.a", 1, 1)
    task = asyncio.create_task(watch())
    (name,) = await eventually(names)
    await log_lines(bus, "log.shop.SHOP-1.a", 2, 3)
    await eventually(lambda: seen == ["2", "3"])
    await bus.api(f"CONSUMER.DELETE.LOGS.{name}")
    await log_lines(bus, "log.shop.SHOP-1.a", 4, 6)
    await eventually(lambda: seen == ["2", "3", "4", "5", "6"])
    task.cancel()
    await asyncio.wait({task})


async def test_a_stream_that_is_not_there_is_an_error_not_silence(bus: Bus) -> None:
    reading = scan(bus, "NOWHERE", ("x",))
    with pytest.raises(PermanentError, match="there is no stream NOWHERE"):
        await anext(reading)
