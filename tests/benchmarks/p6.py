"""P6: from a lost webhook to its repair beyond the grace, and what polling fifty projects costs of 60 calls a minute.

As shipped the grace is 600 s and a pass is made every 120 s; the delay is measured with a shorter rhythm and compared
with it, since a repair waits for the next pass at most.
"""

from msgspec import Struct, structs

from conveyor.reconciler.settings import ReconcilerSettings
from conveyor.servicekit.bus import Bus
from conveyor.servicekit.clock import SYSTEM_CLOCK
from tests.benchmarks import ground
from tests.benchmarks.figures import Figure, figure, median
from tests.benchmarks.swept import Ground, swept

PER_MINUTE = 60.0


class Size(Struct, frozen=True, kw_only=True):
    """How much is done."""

    losses: int = 10
    grace_s: float = 1.0
    interval_s: float = 0.7
    projects: int = 50
    issues: int = 20
    passes: int = 5


async def measure(size: Size | None = None) -> tuple[Figure, ...]:
    """Return the delay of a repair beyond its grace beside the interval, and calls a minute beside the limit."""
    size = size or Size()
    shipped = ReconcilerSettings()
    quick = structs.replace(shipped, grace_s=size.grace_s, interval_s=size.interval_s)
    async with ground.folder() as where, ground.server_and_bus(where) as (_server, bus):
        async with swept(bus, projects=1, issues=1, settings=quick) as here:
            delays = [await _repaired_after(here, quick, number) for number in range(size.losses)]
        calls = await _calls(bus, size, shipped)
    a_minute = median("P6 calls of an idle pass", "calls", calls) * 60 / shipped.interval_s
    return (
        figure("P6.delay", median("P6 beyond the grace", "s", delays), "s", size.interval_s),
        figure("P6.calls", a_minute, "calls/min", PER_MINUTE),
    )


async def _repaired_after(here: Ground, settings: ReconcilerSettings, number: int) -> float:
    """Return how long after the grace an issue that was moved without a webhook is repaired, pass after pass."""
    project = next(iter(here.plane.world.projects.values()))
    issue = here.plane.create_issue(project, f"Lost {number}", quietly=True)
    here.plane.move_issue(issue, "To Analyse", quietly=True)
    lost_s = SYSTEM_CLOCK.monotonic()
    while not (await here.reconciler.run_pass()).repaired:
        await SYSTEM_CLOCK.sleep(settings.interval_s)
    return SYSTEM_CLOCK.monotonic() - lost_s - settings.grace_s


async def _calls(bus: Bus, size: Size, settings: ReconcilerSettings) -> list[float]:
    await bus.api("STREAM.PURGE.KV_reconciler")
    async with swept(bus, projects=size.projects, issues=size.issues, settings=settings) as here:
        await here.reconciler.run_pass()
        return [float((await here.reconciler.run_pass()).calls) for _ in range(size.passes)]
