"""RUNS: 200 short runs through one runner with 4 slots: what a run costs beside its agent, in runs per second.

Twenty tasks of one repository, so that worktrees are made and used again; the agent writes one file and is pushed.
"""

from msgspec import Struct

from conveyor.contracts.events import RunFinished
from conveyor.contracts.outcomes import OutcomeKind
from conveyor.runner.core.agent import Agent
from conveyor.servicekit.clock import SYSTEM_CLOCK
from tests.benchmarks import ground
from tests.benchmarks.figures import Figure, figure, note
from tests.scenarios.runner.rig import Rig, running, world

AGENT = ("/bin/sh", "-c", "cat > /dev/null; echo $CONVEYOR_RUN_ID > done.txt")


class Size(Struct, frozen=True, kw_only=True):
    """How much is done."""

    tasks: int = 20
    rounds: int = 10
    slots: int = 4


async def measure(size: Size | None = None) -> tuple[Figure, ...]:
    """Return runs per second."""
    size = size or Size()
    async with (
        ground.folder() as where,
        ground.server_and_bus(where) as (server, bus),
        world(where, bus, server.url) as rig,
    ):
        agent = Agent(command=AGENT)
        async with running(rig.settings(agent, ack_wait_s=30, slots=size.slots)):
            await _all(rig, 1, 1)
            begun = SYSTEM_CLOCK.monotonic()
            for number in range(size.rounds):
                await _all(rig, size.tasks, number + 2)
            took = SYSTEM_CLOCK.monotonic() - begun
    runs = size.tasks * size.rounds
    note(
        f"RUNS: {runs} runs in {took:.1f} s with {size.slots} slots; a run's own cost {took * size.slots / runs:.3f} s"
    )
    return (figure("RUNS", runs / took, "runs/s"),)


async def _all(rig: Rig, tasks: int, nth: int) -> None:
    """Order a run of every task and wait for all outcomes."""
    keys = [f"SHOP-{number}" for number in range(1, tasks + 1)]
    orders = {(await rig.order("analyst", key=key, branch=f"feature/{key}")).run_id for key in keys}

    async def all_done() -> bool:
        ended = [event for key in keys for event in await rig.events(RunFinished, key) if event.run_id in orders]
        failed = [event.outcome.detail for event in ended if event.outcome.kind is not OutcomeKind.SUCCEEDED]
        if failed:
            raise RuntimeError(f"round {nth}: {failed[0]}")
        return len(ended) == len(orders)

    await ground.until(all_done, f"{tasks} runs", timeout_s=120)
