"""One engine process as P3 measures it: the real decide loop of the stage-engine on a real bus.

Tracker and forge answer at once: the figure is about the engine and the bus. `python -m tests.benchmarks.engine URL`.
"""

import asyncio
import cProfile
import signal
import sys

import uvloop

from conveyor.contracts import streams
from conveyor.contracts.project import Project
from conveyor.servicekit import logs
from conveyor.servicekit.bus import ConsumerSpec, EventLog, TaskStore, connect, consume
from conveyor.servicekit.metrics import Metrics
from conveyor.servicekit.sections import LogSettings, NatsSettings, pipelines_of
from conveyor.stage_engine.app import _task_lane
from conveyor.stage_engine.handlers import Doorbell
from conveyor.stage_engine.look import Look
from conveyor.stage_engine.projects import Projects
from conveyor.stage_engine.settings import EngineSettings

PROJECT = Project(name="bench", tracker_project_id="bench", identifier="BENCH", repository="bench/bench")


class NobodyBlocks:
    """A tracker in which no issue waits for another; more is not asked on a good day."""

    async def relations(self, *_issue: str) -> tuple[str, ...]:
        return ()


async def run(url: str) -> None:
    """Decide whatever events there are until SIGTERM."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    bus = await connect(NatsSettings(url=url), name="benchmark-engine")
    projects = Projects((PROJECT,), pipelines_of({}, None))
    look = Look(projects, NobodyBlocks(), None)
    doorbell = Doorbell((EventLog(bus), TaskStore(bus)), projects, look, Metrics("engine"))
    spec = ConsumerSpec(stream=streams.EVENTS.name, durable="engine-decide", subjects=("event.>",))
    at_once = EngineSettings().tasks_at_once
    await consume(bus, spec, doorbell, concurrency=at_once, lane=_task_lane, stopping=stopping)
    await bus.close()


def main() -> None:
    """Run with logs as a service prints them; `--profile FILE` writes where the time went."""
    logs.configure(LogSettings(format="json"), "stage-engine")
    if "--profile" not in sys.argv:
        uvloop.run(run(sys.argv[1]))
        return
    profile = cProfile.Profile()
    profile.runcall(uvloop.run, run(sys.argv[1]))
    profile.dump_stats(sys.argv[sys.argv.index("--profile") + 1])


if __name__ == "__main__":
    main()
