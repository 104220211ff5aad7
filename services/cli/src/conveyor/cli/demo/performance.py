"""One performance of the demo: the world, the process tree against it, the story, the figures, and an orderly end."""

import asyncio
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from msgspec import structs

from conveyor.cli.demo import configuration
from conveyor.cli.demo.narrator import Narrator
from conveyor.cli.demo.story import Deadline, Story
from conveyor.cli.demo.summary import Summary, summarized, told, where_to_look
from conveyor.cli.demo.world import DemoWorld, demo_world
from conveyor.cli.exits import Exit, StopError
from conveyor.cli.up.command import bus_url, interrupts
from conveyor.cli.up.output import LogFiles, last_errors
from conveyor.cli.up.plan import LOOPBACK, Plan, plan
from conveyor.cli.up.ports import Ports
from conveyor.cli.up.readiness import wait_ready
from conveyor.cli.up.tree import Tree, running
from conveyor.contracts.task import Task
from conveyor.contracts.transition import TaskRecord
from conveyor.servicekit.bus import Bus, Start, TaskStore, connect
from conveyor.servicekit.clock import SYSTEM_CLOCK
from conveyor.servicekit.ending import cancel_until_ended

DEADLINE_S = 90.0
"""After this the demo has failed; it takes a third of it on a small machine."""
READY_S = 45.0
COMMITS_SHOWN = 3


async def perform(parent: Path, *, is_kept: bool, as_json: bool) -> Exit:
    """Play the demo in a fresh folder; StopError says what did not happen and where the logs are."""
    folder = _fresh(parent)
    show = Show(folder, Narrator(as_json=as_json))
    try:
        return await show.run(is_kept=is_kept)
    except StopError as error:
        where = (f"configuration: {show.config}", f"logs: {show.logs.directory}/", *last_errors(show.logs.directory))
        raise StopError("\n  ".join((str(error), *where)), error.code) from error


def _fresh(parent: Path) -> Path:
    folder = parent.resolve() / f"{SYSTEM_CLOCK.now():%Y%m%d-%H%M%S-%f}"
    folder.mkdir(parents=True)
    return folder


class Show:
    """One performance in one folder."""

    def __init__(self, folder: Path, narrator: Narrator) -> None:
        self.config = folder / "conveyor.toml"
        self.logs = LogFiles(folder / "logs")
        self._folder = folder
        self._tell = narrator
        self._records: list[TaskRecord] = []

    async def run(self, *, is_kept: bool) -> Exit:
        """Build the world, start the tree against it, play the story, sum up."""
        async with AsyncExitStack() as stack:
            stack.callback(self.logs.close)
            world = await stack.enter_async_context(demo_world(self._folder))
            self._tell.demo(f"simulated Plane at {world.plane.url}, simulated Gitea at {world.gitea.url}")
            ports = stack.enter_context(Ports())
            configuration.write(self._folder, world, ports.free(LOOPBACK))
            planned = plan(self.config, ports, is_pretty=False)
            tree = await stack.enter_async_context(running(planned, self.logs, self._tell.demo))
            interrupted = stack.enter_context(interrupts(tree))
            playing = asyncio.create_task(self._play(world, planned), name="story")
            await _first_of(tree, playing, interrupted)
            for line in told(playing.result()):
                self._tell.plain(line)
            self._tell.result(playing.result())
            await self._end(planned, playing.result().key, interrupted if is_kept else None)
        return Exit.OK

    async def _play(self, world: DemoWorld, planned: Plan) -> Summary:
        left = await wait_ready(planned.members, READY_S)
        if left:
            raise StopError("not ready: " + "; ".join(f"{name}: {reason}" for name, reason in left.items()))
        self._tell.demo(
            f"nats-server at {bus_url(planned)} and four services are ready; their logs: {self.logs.directory}"
        )
        gateway = next(member.url for member in planned.members if member.name == "gateway")
        world.subscribe(gateway)
        began_s = SYSTEM_CLOCK.monotonic()
        settings = structs.replace(planned.nats, url=bus_url(planned))
        bus = await connect(settings, name="demo")
        following = asyncio.create_task(self._follow(bus), name="follow-tasks")
        try:
            deadline = Deadline(began_s + DEADLINE_S)
            story = Story(world, self._tell, self._task_now, deadline)
            await story.play()
            await world.plane.courier.idle()
            return summarized(world, self._records, await world.log(COMMITS_SHOWN), SYSTEM_CLOCK.monotonic() - began_s)
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
            await bus.close()

    async def _follow(self, bus: Bus) -> None:
        async for revision in TaskStore(bus).follow(start=Start.ALL):
            self._records.append(revision.record)
            self._tell.decided(revision.record)

    def _task_now(self) -> Task | None:
        return self._records[-1].task if self._records else None

    async def _end(self, planned: Plan, key: str, kept_until: asyncio.Future[None] | None) -> None:
        if kept_until is None:
            self._tell.plain(f"\nEverything is stopped now. Its files are in {self._folder}; services' logs in logs/.")
            self._tell.plain("To look around while it runs: conveyor demo --keep")
            return
        for line in where_to_look(str(self.config), bus_url(planned), key):
            self._tell.plain(line)
        self._tell.plain("Everything keeps running until Ctrl-C.")
        await kept_until


async def _first_of(tree: Tree, playing: asyncio.Task[Summary], interrupted: asyncio.Future[None]) -> None:
    """Return when the story is over; StopError when the tree ended or a person interrupted."""
    ends: set[asyncio.Future[object]] = {tree.ended, playing, interrupted}  # type: ignore[arg-type] # futures of anything
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    if playing.done():
        return
    await cancel_until_ended(playing)
    if tree.ended.done():
        raise StopError(tree.ended.result().reason)
    raise StopError("interrupted")
