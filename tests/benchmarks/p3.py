"""P3: durable transitions per second of one engine process, beside raw compare-and-set publishes to the same server.

The events of many tasks on a good day lie ready in EVENTS; the engine starts and carries every task to done. The time
is the server's own: from the first transition it stored to the last.
"""

import asyncio
from datetime import timedelta
from pathlib import Path

import msgspec
from msgspec import Struct

from conveyor.contracts import codec, streams
from conveyor.contracts.pipelines import default_pipeline
from conveyor.servicekit.bus import Bus, EventLog, Start, scan
from conveyor.servicekit.clock import SYSTEM_CLOCK
from conveyor.servicekit.nats_process import NatsProcess
from tests.benchmarks import ground
from tests.benchmarks.engine import PROJECT
from tests.benchmarks.figures import Figure, figure, median, note
from tests.benchmarks.history import good_day
from tests.benchmarks.raw import publishes_per_second

GOAL_RATIO = 0.15
IN_FLIGHT = 64
"""Raw publishes under way at once, as many as the engine has tasks in hand."""
UNDER_WAY = 256
"""Events published at once, before the time begins."""


class Size(Struct, frozen=True, kw_only=True):
    """How much is done."""

    rounds: int = 5
    tasks: int = 400
    raw: int = 8000


async def measure(size: Size | None = None) -> tuple[Figure, ...]:
    """Return the engine's figure and the raw one."""
    size = size or Size()
    engine, raw = [], []
    async with ground.folder() as where, ground.server_and_bus(where) as (server, bus):
        for number in range(size.rounds):
            engine.append(await _engine(server, bus, where / f"engine-{number}.log", _keys(number, size.tasks)))
            body = await _record(bus)
            for stream in (streams.EVENTS, streams.TASKS):
                await bus.api(f"STREAM.PURGE.{stream.name}")
            raw.append(await publishes_per_second(server.url, "task.raw", body, in_flight=IN_FLIGHT, count=size.raw))
            await bus.api(f"STREAM.PURGE.{streams.TASKS.name}")
    unit = "transitions/s"
    own, anchor = median("P3", unit, engine), median("P3.raw", "publishes/s", raw)
    note(f"P3: {own / anchor:.3f} of raw, goal {GOAL_RATIO}; a record has {len(body)} bytes")
    return figure("P3", own, unit, anchor), figure("P3.raw", anchor, "publishes/s")


async def _engine(server: NatsProcess, bus: Bus, log: Path, keys: list[str]) -> float:
    events = await _publish_events(bus, keys)

    async def all_stored() -> bool:
        return (await _messages(bus)) >= events

    async with ground.process("tests.benchmarks.engine", server.url, log=log):
        await ground.until(all_stored, f"{events} transitions; see {log}", timeout_s=120)
    return await _rate(bus, events, len(keys))


def _keys(number: int, tasks: int) -> list[str]:
    """Return keys that no other round has: the server remembers the ids of their events."""
    return [f"BENCH-{number * tasks + one}" for one in range(1, tasks + 1)]


async def _publish_events(bus: Bus, keys: list[str]) -> int:
    """Publish the lives of so many tasks, interleaved as they would be, and return how many events that makes."""
    log, pipeline = EventLog(bus), default_pipeline()
    begin = SYSTEM_CLOCK.now() - timedelta(hours=1)
    lives = [list(good_day(pipeline, PROJECT.name, key, begin)) for key in keys]
    events = [event for together in zip(*lives, strict=True) for event in together]
    for first in range(0, len(events), UNDER_WAY):
        await asyncio.gather(*(log.publish(event) for event in events[first : first + UNDER_WAY]))
    return len(events)


class _State(Struct):
    messages: int


class _Info(Struct):
    state: _State


async def _messages(bus: Bus) -> int:
    return msgspec.json.decode(await bus.api(f"STREAM.INFO.{streams.TASKS.name}"), type=_Info).state.messages


async def _rate(bus: Bus, events: int, tasks: int) -> float:
    """Return transitions per second by the times the server gave them; RuntimeError unless every task is done."""
    stored = [message async for message in scan(bus, streams.TASKS.name, ("task.>",))]
    latest = {message.subject: codec.decode_record(message.body).task for message in stored}
    if len(stored) != events or len(latest) != tasks or not all(task.is_over for task in latest.values()):
        raise RuntimeError(f"{len(stored)} transitions of {events}, {len(latest)} tasks of {tasks}, or some not done")
    return (len(stored) - 1) / (stored[-1].at - stored[0].at).total_seconds()


async def _record(bus: Bus) -> bytes:
    """Return a stored record of the usual size."""
    bodies = [message.body async for message in scan(bus, streams.TASKS.name, ("task.>",), start=Start.ALL)]
    return sorted(bodies, key=len)[len(bodies) // 2]
