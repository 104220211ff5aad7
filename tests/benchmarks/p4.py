"""P4: an idle pass of the reconciler over 100 open issues and over 10,000: calls, time and memory, flat within 1.5 x.

An idle pass reads down to the watermark. The tracker's list lies in memory and comes by pages: what is measured is the
reconciler's own. Beside each figure stands the one of the small tracker.
"""

import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct, structs

from conveyor.contracts.observed import TrackerIssue
from conveyor.reconciler.handlers import Reconciler
from conveyor.reconciler.settings import ReconcilerSettings
from conveyor.servicekit.bus import Bus
from conveyor.servicekit.clock import SYSTEM_CLOCK
from tests.benchmarks import ground
from tests.benchmarks.figures import Figure, figure, median, note
from tests.benchmarks.swept import swept

PAGE = 100
"""As many rows as the tracker's adapter asks for at once."""


class Size(Struct, frozen=True, kw_only=True):
    """How much there is."""

    few: int = 100
    many: int = 10_000
    passes: int = 50


class Idle(Struct, frozen=True):
    """What one idle pass takes."""

    calls: float
    ms: float
    kib: float


async def measure(size: Size | None = None) -> tuple[Figure, ...]:
    """Return calls, milliseconds and the peak of memory of an idle pass over many issues, each beside that over few."""
    size = size or Size()
    async with ground.folder() as where, ground.server_and_bus(where) as (_server, bus):
        few = await _idle(bus, size.few, size.passes)
        many = await _idle(bus, size.many, size.passes)
    return (
        figure("P4.calls", many.calls, "calls/pass", few.calls),
        figure("P4.time", many.ms, "ms/pass", few.ms),
        figure("P4.memory", many.kib, "KiB/pass", few.kib),
    )


class Listed:
    """A tracker that hands out its list by pages, newest first; anything else is asked of the simulated one."""

    def __init__(self, tracker: Any, issues: int) -> None:
        self._tracker = tracker
        self._at = SYSTEM_CLOCK.now() - timedelta(days=1)
        self._issues = issues
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tracker, name)

    async def changed_issues(self, _project_id: str, since: datetime) -> AsyncIterator[TrackerIssue]:
        for first in range(0, self._issues, PAGE):
            self.calls += 1
            for issue in [self._issue(number) for number in range(first, min(first + PAGE, self._issues))]:
                if issue.updated_at < since:
                    return
                yield issue

    def _issue(self, number: int) -> TrackerIssue:
        at = self._at - timedelta(seconds=number)
        return TrackerIssue(
            issue_id=f"i{number}",
            key=f"S0-{number + 1}",
            title="Sell tea",
            state_id="todo",
            description="Tea. " * 100,
            updated_at=at,
            created_at=at,
        )


async def _idle(bus: Bus, issues: int, passes: int) -> Idle:
    await bus.api("STREAM.PURGE.KV_reconciler")
    settings = ReconcilerSettings()
    async with swept(bus, projects=1, issues=1, settings=settings) as here:
        listed = Listed(here.world.tracker, issues)
        reconciler = Reconciler(structs.replace(here.world, tracker=listed, calls=lambda: listed.calls), settings)
        await reconciler.run_pass()
        note(f"P4 over {issues} issues: {listed.calls} calls for the whole list, once an hour")
        timed = [await _timed(reconciler) for _ in range(passes)]
        kib = [await _peak_kib(reconciler.run_pass) for _ in range(3)]
    name = f"P4 over {issues} issues"
    calls, ms = zip(*timed, strict=True)
    return Idle(median(name, "calls", calls), median(name, "ms", ms), median(name, "KiB", kib))


async def _timed(reconciler: Reconciler) -> tuple[float, float]:
    """Return calls and milliseconds of one pass."""
    began_s = SYSTEM_CLOCK.monotonic()
    report = await reconciler.run_pass()
    return float(report.calls), (SYSTEM_CLOCK.monotonic() - began_s) * 1000


async def _peak_kib(work: Callable[[], Awaitable[object]]) -> float:
    """Return how much memory was in use at most beyond what was in use before."""
    tracemalloc.start()
    try:
        await work()
        return tracemalloc.get_traced_memory()[1] / 1024
    finally:
        tracemalloc.stop()
