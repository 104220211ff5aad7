"""P3: durable transitions per second of one engine process, beside raw compare-and-set publishes to the same server.

The goal is 0.15 of raw or more.

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
from conveyor.servicekit.bus import Bus, ConsumerSpec, EventLog, Start, scan
from conveyor.servicekit.clock import SYSTEM_CLOCK
from conveyor.servicekit.nats_process import NatsProcess
from tests.benchmarks import ground
from tests.benchmarks.engine import PROJECT, RELAY
from tests.benchmarks.figures import Figure, figure, median
from tests.benchmarks.history import good_day
from tests.benchmarks.raw import publishes_per_second

IN_FLIGHT = 64
"""Raw publishes under way at once, as many as the engine has tasks in hand."""
UNDER_WAY = 256
"""Events published at once, before the time begins."""


class Size(Struct, frozen=True, kw_only=True):
    """How much is done."""

    rounds: int = 5
    tasks: int = 300
    raw: int = 8000


async def measure(size: Size | None = None) -> tuple[Figure, ...]:
    """Return the engine's figure, the same with its relay at work in the same process, and the raw one."""
    size = size or Size()
    async with ground.folder() as where, ground.server_and_bus(where) as (server, bus):
        rounds = [await _round(server, bus, where / "engine.log", number, size) for number in range(size.rounds)]
    alone, relayed, raw = zip(*rounds, strict=True)
    unit, raw_unit = "transitions/s", "publishes/s"
    anchor = median("P3.raw", raw_unit, raw)
    median("P3 / P3.raw, round by round", "", [one / other for one, other in zip(alone, raw, strict=True)])
    return (
        figure("P3", median("P3", unit, alone), unit, anchor),
        figure("P3.relayed", median("P3.relayed", unit, relayed), unit, anchor),
        figure("P3.raw", anchor, raw_unit),
    )


async def _round(server: NatsProcess, bus: Bus, log: Path, number: int, size: Size) -> tuple[float, float, float]:
    """Return the three figures of one round, measured one right after the other: the machine's mood changes."""
    keys = [f"BENCH-{2 * number * size.tasks + one}" for one in range(1, 2 * size.tasks + 1)]
    alone = await _engine(server, bus, log, keys[: size.tasks])
    body = await _record(bus)
    await _clear(bus)
    raw = await publishes_per_second(server.url, "task.raw", body, in_flight=IN_FLIGHT, count=size.raw)
    await _clear(bus)
    relayed = await _engine(server, bus, log, keys[size.tasks :], "--relay")
    await _clear(bus)
    return alone, relayed, raw


async def _clear(bus: Bus) -> None:
    for stream in (streams.EVENTS, streams.TASKS, streams.COMMANDS):
        await bus.api(f"STREAM.PURGE.{stream.name}")


async def _engine(server: NatsProcess, bus: Bus, log: Path, keys: list[str], *arguments: str) -> float:
    """Return transitions per second of an engine that carries these tasks to done; keys are used only once.

    The server remembers the ids of their events.
    """
    events = await _publish_events(bus, keys)

    async def all_done() -> bool:
        is_decided = await _messages(bus, streams.TASKS) >= events
        return is_decided and ("--relay" not in arguments or await _is_done(bus, RELAY))

    async with ground.process("tests.benchmarks.engine", server.url, *arguments, log=log):
        await ground.until(all_done, f"{events} transitions", timeout_s=300)
    return await _rate(bus, events, len(keys))


async def _publish_events(bus: Bus, keys: list[str]) -> int:
    """Publish the lives of so many tasks, interleaved as they would be, and return how many events that makes."""
    log, pipeline = EventLog(bus), default_pipeline()
    begin = SYSTEM_CLOCK.now() - timedelta(hours=1)
    lives = [list(good_day(pipeline, PROJECT.name, key, begin)) for key in keys]
    events = [event for together in zip(*lives, strict=True) for event in together]
    for first in range(0, len(events), UNDER_WAY):
        await asyncio.gather(*(log.publish(event) for event in events[first : first + UNDER_WAY]))
    return len(events)


async def _messages(bus: Bus, stream: streams.StreamSpec) -> int:
    return int(msgspec.json.decode(await bus.api(f"STREAM.INFO.{stream.name}"))["state"]["messages"])


async def _is_done(bus: Bus, spec: ConsumerSpec) -> bool:
    consumer = msgspec.json.decode(await bus.api(f"CONSUMER.INFO.{spec.stream}.{spec.durable}"))
    return not consumer["num_pending"] and not consumer["num_ack_pending"]


async def _rate(bus: Bus, events: int, tasks: int) -> float:
    """Return transitions per second by the times the server gave them, to the last command if there are any.

    RuntimeError unless every task is done.
    """
    stored = [message async for message in scan(bus, streams.TASKS.name, ("task.>",))]
    latest = {message.subject: codec.decode_record(message.body).task for message in stored}
    if len(stored) != events or len(latest) != tasks or not all(task.is_over for task in latest.values()):
        raise RuntimeError(f"{len(stored)} transitions of {events}, {len(latest)} tasks of {tasks}, or some not done")
    ordered = [message.at async for message in scan(bus, streams.COMMANDS.name, ("command.>",))]
    end = max([stored[-1].at, *ordered[-1:]])
    return (len(stored) - 1) / (end - stored[0].at).total_seconds()


async def _record(bus: Bus) -> bytes:
    """Return a stored record of the usual size."""
    bodies = [message.body async for message in scan(bus, streams.TASKS.name, ("task.>",), start=Start.ALL)]
    return sorted(bodies, key=len)[len(bodies) // 2]
