"""P9: what `conveyor up` needs while nothing happens, and how long it takes from nothing to the first finished task.

The world is the demo's: simulated Plane and Gitea outside the tree, a scripted agent whose every run succeeds at once.
The one person approves the analysis the moment the board asks. Afterwards the tree is left alone and looked at.
"""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from conveyor.cli.demo import configuration
from conveyor.cli.demo.world import DemoWorld, demo_world
from conveyor.contracts.task import DONE, Waiting
from conveyor.servicekit.bus import Start, TaskStore, connect
from conveyor.servicekit.clock import SYSTEM_CLOCK
from conveyor.servicekit.sections import NatsSettings
from tests.benchmarks import ground, tree
from tests.benchmarks.figures import Figure, figure, median, note, rounded

TIMEOUT_S = 120.0


class Size(Struct, frozen=True, kw_only=True):
    """How much is done."""

    rounds: int = 3
    settle_s: float = 5.0
    """Between the end of the task and the look at the idle tree."""
    idle_s: float = 10.0


class Look(Struct, frozen=True):
    """What one round showed."""

    cold_start_s: float
    memory_mib: float
    cpu_percent: float


async def measure(size: Size | None = None) -> tuple[Figure, ...]:
    """Return memory and processor use of the idle tree, and the time to the first finished task."""
    size = size or Size()
    looks = [await _round(size) for _ in range(size.rounds)]
    memory = median("P9.memory", "MiB", [look.memory_mib for look in looks])
    cpu = median("P9.cpu", "%", [look.cpu_percent for look in looks])
    cold_start = median("P9.cold_start", "s", [look.cold_start_s for look in looks])
    return (
        figure("P9.memory", memory, "MiB PSS"),
        figure("P9.cpu", cpu, "% of one core"),
        figure("P9.cold_start", cold_start, "s"),
    )


async def _round(size: Size) -> Look:
    async with ground.folder() as where, demo_world(where) as world:
        config = configuration.write(where, world, nats_port=0)
        _make_easy(config)
        begun = SYSTEM_CLOCK.monotonic()
        async with _conveyor_up(config) as (up, urls):
            ready = SYSTEM_CLOCK.monotonic()
            world.subscribe(urls["gateway"])
            async with asyncio.timeout(TIMEOUT_S):
                await _carry_one_task(world, urls["nats"])
            cold_start_s = SYSTEM_CLOCK.monotonic() - begun
            await SYSTEM_CLOCK.sleep(size.settle_s)
            cpu_s = tree.cpu_s(up.pid)
            await SYSTEM_CLOCK.sleep(size.idle_s)
            cpu_percent = (tree.cpu_s(up.pid) - cpu_s) / size.idle_s * 100
            memory = tree.memory_mib(up.pid)
    note(f"P9: ready after {ready - begun:.2f} s; " + ", ".join(f"{k} {rounded(v)} MiB" for k, v in memory.items()))
    return Look(cold_start_s, sum(memory.values()), cpu_percent)


def _make_easy(config: Path) -> None:
    """Take the demo's question, rejection and hasty reconciler out of its configuration."""
    config.write_text(config.read_text().partition("[reconciler]")[0])
    script = config.with_name("script.toml")
    script.write_text(f"[[developer]]\ndo = \"succeed\"\nfiles = {{ 'src/shop.py' = '''{configuration.SECOND}''' }}\n")


@asynccontextmanager
async def _conveyor_up(config: Path) -> AsyncIterator[tuple[subprocess.Popen[bytes], dict[str, str]]]:
    """Run `conveyor up` until the end of the block; gives the process and where everything answers."""
    told = config.with_name("ready.json")
    arguments = ("--config", str(config), "up", "--json")
    async with ground.process("conveyor.cli", *arguments, log=config.with_name("up.log"), stdout=told) as up:

        async def ready() -> bytes:
            return await asyncio.to_thread(told.read_bytes)

        line = await ground.until(ready, "conveyor up is ready", timeout_s=TIMEOUT_S, every_s=0.01)
        yield up, msgspec.json.decode(line, type=dict[str, str])


async def _carry_one_task(world: DemoWorld, nats_url: str) -> None:
    """Move an issue to the start, approve its analysis when the board asks, return when its task is done."""
    issue = world.issue("Greet people by name", "A plain Welcome is enough without a name.")
    bus = await connect(NatsSettings(url=nats_url), name="benchmark")

    async def asks() -> bool:
        return world.plane.state_of(issue) == "In Review"

    try:
        world.plane.move_issue(issue, "To Analyse")
        async for revision in TaskStore(bus).follow(start=Start.ALL):
            task = revision.record.task
            if task.is_escalated:
                raise RuntimeError(f"{task.key} is blocked: {task.escalation}")
            if task.stage == DONE:
                return
            if task.waiting is Waiting.PERSON:
                await ground.until(asks, "the board asks", every_s=0.01)
                world.plane.move_issue(issue, "Approved")
    finally:
        await bus.close()
