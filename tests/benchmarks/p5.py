"""P5: a runner is killed with -9 in the middle of a run; how long until its run has been started elsewhere.

The engine's part is played here: as soon as the lost run is reported, the next one is ordered. With the settings that
are shipped: the command comes back `ack_wait_s` after the dead runner's last sign of life, a third of it later at most.
"""

import socket
from pathlib import Path

from msgspec import Struct

from conveyor.contracts.events import RunStarted
from conveyor.contracts.outcomes import OutcomeKind
from conveyor.contracts.streams import RUNNERS
from conveyor.runner.process.sweep import members
from conveyor.runner.settings import RunnerSettings
from conveyor.servicekit.bus import Bucket
from conveyor.servicekit.clock import SYSTEM_CLOCK
from tests.benchmarks import ground
from tests.benchmarks.figures import Figure, figure, median, note
from tests.conftest import wait_until
from tests.scenarios.runner.rig import Rig, process, world

GOAL_S = 15.0
TIMEOUT_S = 60.0


class Size(Struct, frozen=True, kw_only=True):
    """How much is done."""

    rounds: int = 3


async def measure(size: Size | None = None) -> tuple[Figure, ...]:
    """Return the median, with the goal as its anchor."""
    size = size or Size()
    took = [await _round(number) for number in range(size.rounds)]
    note(
        f"P5: ack_wait_s {RunnerSettings().ack_wait_s:g} on {socket.gethostname()}; the longest took {max(took):.1f} s"
    )
    return (figure("P5", median("P5", "s", took), "s", GOAL_S),)


async def _round(number: int) -> float:
    async with (
        ground.folder() as where,
        ground.server_and_bus(where) as (server, bus),
        world(where, bus, server.url) as rig,
    ):
        return await _kill_one(rig, where, number)


async def _kill_one(rig: Rig, where: Path, number: int) -> float:
    agent = rig.agent({"developer": ["hang", "succeed"]})
    ack_wait_s = RunnerSettings().ack_wait_s
    async with process(rig, agent, f"first-{number}", ack_wait_s) as first:
        command = await rig.order()
        await wait_until(lambda: members(command.run_id), timeout_s=TIMEOUT_S)
        async with process(rig, agent, f"second-{number}", ack_wait_s):
            await wait_until(lambda: Bucket(rig.bus, RUNNERS).get(f"second-{number}"), timeout_s=TIMEOUT_S)
            first.kill()
            begun = SYSTEM_CLOCK.monotonic()
            lost = await rig.outcome(command, wait_until, timeout_s=TIMEOUT_S)
            if lost.kind is not OutcomeKind.LOST:
                raise RuntimeError(f"the run was not lost: {lost.detail}; see {where}")
            again = await rig.order()

            async def is_started() -> bool:
                return any(event.run_id == again.run_id for event in await rig.events(RunStarted))

            await wait_until(is_started, timeout_s=TIMEOUT_S)
            return SYSTEM_CLOCK.monotonic() - begun
