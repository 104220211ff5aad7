"""One engine process as P3 measures it: the real decide loop of the stage-engine on a real bus, and its relay if asked.

Tracker and forge answer at once: the figure is about the engine and the bus.
`python -m tests.benchmarks.engine URL [--relay] [--profile FILE]`.
"""

import argparse
import asyncio
import cProfile
import signal

import uvloop

from conveyor.contracts import streams
from conveyor.contracts.project import Project
from conveyor.servicekit import logs
from conveyor.servicekit.bus import (
    Bucket,
    CommandQueue,
    ConsumerSpec,
    EventLog,
    InOrder,
    TaskStore,
    connect,
    consume,
)
from conveyor.servicekit.metrics import Metrics
from conveyor.servicekit.sections import LogSettings, NatsSettings, pipelines_of
from conveyor.stage_engine.app import _task_lane
from conveyor.stage_engine.handlers import Doorbell
from conveyor.stage_engine.look import Look
from conveyor.stage_engine.projects import Projects
from conveyor.stage_engine.relay import Relay
from conveyor.stage_engine.settings import EngineSettings

PROJECT = Project(name="bench", tracker_project_id="bench", identifier="BENCH", repository="bench/bench")
DECIDE = ConsumerSpec(stream=streams.EVENTS.name, durable="engine-decide", subjects=("event.>",))
RELAY = ConsumerSpec(stream=streams.TASKS.name, durable="engine-relay", subjects=("task.>",))


class NobodyBlocks:
    """A tracker in which no issue waits for another; more is not asked on a good day."""

    async def relations(self, *_issue: str) -> tuple[str, ...]:
        return ()


async def run(url: str, *, relays: bool) -> None:
    """Decide whatever events there are until SIGTERM; with `relays`, publish what the transitions order as well."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    bus = await connect(NatsSettings(url=url), name="benchmark-engine")
    projects = Projects((PROJECT,), pipelines_of({}, None))
    look = Look(projects, NobodyBlocks(), None)
    doorbell = Doorbell((EventLog(bus), TaskStore(bus)), projects, look, Metrics("engine"))
    options = {"concurrency": EngineSettings().tasks_at_once, "lane": _task_lane, "stopping": stopping}
    loops = [consume(bus, DECIDE, doorbell, **options)]
    if relays:
        relay = Relay(CommandQueue(bus), Bucket(bus, streams.LOOKUP))
        in_order = InOrder(bus, RELAY, lambda delivery: delivery.subject, relay)
        loops.append(consume(bus, RELAY, in_order, **options))
    await asyncio.gather(*loops)
    await bus.close()


def main() -> None:
    """Run with logs as a service prints them; `--profile FILE` writes where the time went."""
    parser = argparse.ArgumentParser(description="One engine process, as P3 measures it.")
    parser.add_argument("url")
    parser.add_argument("--relay", action="store_true")
    parser.add_argument("--profile")
    chosen = parser.parse_args()
    logs.configure(LogSettings(format="json"), "stage-engine")
    if chosen.profile is None:
        uvloop.run(run(chosen.url, relays=chosen.relay))
        return
    profile = cProfile.Profile()
    profile.runcall(uvloop.run, run(chosen.url, relays=chosen.relay))
    profile.dump_stats(chosen.profile)


if __name__ == "__main__":
    main()
