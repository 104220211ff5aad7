"""P4: an idle pass of the reconciler over 100 open issues and over 10,000: calls, time and memory, flat within 1.5 x.

Each tracker is a simulated Plane behind real HTTP in a process of its own, and the two are swept in turn: what else the
machine does meets both alike. The time is the processor's, spent by the process that makes the passes: how long a
tracker takes to list its issues is the tracker's. An idle pass reads down to the watermark. Beside each figure stands
that of the small tracker.
"""

import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from conveyor.reconciler.handlers import Reconciler
from conveyor.reconciler.settings import ReconcilerSettings
from conveyor.servicekit.clock import SYSTEM_CLOCK
from tests.benchmarks import ground
from tests.benchmarks.figures import Figure, figure, median, note
from tests.benchmarks.swept import Asked, project, sweeping
from tests.benchmarks.tracker_alone import Tracker


class Size(Struct, frozen=True, kw_only=True):
    """How much there is."""

    few: int = 100
    many: int = 10_000
    passes: int = 50
    warm_up: int = 5


class Idle(Struct, kw_only=True):
    """What idle passes over one tracker took, one by one."""

    issues: int
    reconciler: Reconciler
    calls: list[float] = []
    cpu_ms: list[float] = []
    ms: list[float] = []
    kib: list[float] = []


async def measure(size: Size | None = None) -> tuple[Figure, ...]:
    """Return calls, milliseconds and the peak of memory of an idle pass over many issues, each beside that over few."""
    size = size or Size()
    async with AsyncExitStack() as stack:
        few, many = [await stack.enter_async_context(_swept(issues)) for issues in (size.few, size.many)]
        for number in range(size.warm_up + size.passes):
            for idle in (few, many):
                await _pass(idle, is_noted=number >= size.warm_up)
        for _ in range(3):
            for idle in (few, many):
                idle.kib.append(await _peak_kib(idle.reconciler.run_pass))
    return (
        _beside("calls", "calls/pass", many, few),
        _beside("cpu_ms", "ms/pass", many, few),
        _beside("kib", "KiB/pass", many, few),
    )


_NAMES = {"calls": "P4.calls", "cpu_ms": "P4.time", "kib": "P4.memory"}


def _beside(what: str, unit: str, many: Idle, few: Idle) -> Figure:
    of_few, of_many = (median(f"P4 over {one.issues} issues, {what}", unit, getattr(one, what)) for one in (few, many))
    if what == "cpu_ms":
        for one in (few, many):
            median(f"P4 over {one.issues} issues, by the clock, with the tracker's own part", unit, one.ms)
    return figure(_NAMES[what], of_many, unit, of_few)


@asynccontextmanager
async def _swept(issues: int) -> AsyncIterator[Idle]:
    """Give somebody who has looked at all of a tracker's issues once, on a bus of its own."""
    async with AsyncExitStack() as stack:
        where = await stack.enter_async_context(ground.folder())
        _server, bus = await stack.enter_async_context(ground.server_and_bus(where))
        tracker = await stack.enter_async_context(_tracker(issues, where))
        asked = Asked(tracker.url, tracker.workspace, tracker.api_key)
        settings = ReconcilerSettings()
        world = await stack.enter_async_context(sweeping(bus, asked, (project(0, tracker.project_id),), settings))
        idle = Idle(issues=issues, reconciler=Reconciler(world, settings))
        first = await idle.reconciler.run_pass()
        note(f"P4 over {issues} issues: {first.calls} calls for the whole list, once an hour")
        yield idle


@asynccontextmanager
async def _tracker(issues: int, where: Path) -> AsyncIterator[Tracker]:
    told = where / "tracker.json"

    async def is_told() -> bool:
        return told.exists()

    log = where / "tracker.log"
    async with ground.process("tests.benchmarks.tracker_alone", str(issues), str(told), log=log):
        await ground.until(is_told, "the tracker stands")
        yield msgspec.json.decode(told.read_bytes(), type=Tracker)


async def _pass(idle: Idle, *, is_noted: bool) -> None:
    began_s, began_cpu_s = SYSTEM_CLOCK.monotonic(), time.process_time()
    report = await idle.reconciler.run_pass()
    cpu_ms, ms = (time.process_time() - began_cpu_s) * 1000, (SYSTEM_CLOCK.monotonic() - began_s) * 1000
    if is_noted:
        idle.calls.append(report.calls)
        idle.cpu_ms.append(cpu_ms)
        idle.ms.append(ms)


async def _peak_kib(work: Callable[[], Awaitable[object]]) -> float:
    """Return how much memory was in use at most beyond what was in use before."""
    tracemalloc.start()
    try:
        await work()
        return tracemalloc.get_traced_memory()[1] / 1024
    finally:
        tracemalloc.stop()
