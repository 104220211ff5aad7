"""Everything running around the engine inside one test: both simulators, the gateway, a runner, one engine or more."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conveyor.contracts.task import Task, Waiting
from conveyor.servicekit.bus import Bus
from conveyor.simulator.plane.world import Issue
from tests.rigs import services, stand_in_runner
from tests.rigs.house import KEY, House, open_house
from tests.rigs.stand_in_runner import StandInRunner

DEADLINE_S = 20.0
SOON = {"ack_wait_s": 1.0, "lease_ttl_s": 1.0, "mergeable_deadline_s": 2.0}
"""Waits of an engine that a test need not sit through."""


@dataclass(frozen=True)
class Stage:
    """What a test acts on; people act through the simulators, and the gateway tells."""

    house: House
    runner: StandInRunner

    def begin(self, title: str = "Sell tea", description: str = "<p>Tea.</p>", **moved: Any) -> Issue:
        """A person writes an issue and moves it to the start status."""
        issue = self.house.issue(title, description)
        self.house.plane.move_issue(issue, "To Analyse", **moved)
        return issue

    async def reaches(self, stage: str, waiting: Waiting = Waiting.NOTHING, key: str = KEY) -> Task:
        """Wait until the task stands in a stage and waits for this, all is delivered, and nobody has anything to do."""
        loop = asyncio.get_running_loop()
        deadline, task = loop.time() + DEADLINE_S, None
        while loop.time() < deadline:
            await self.house.plane.courier.idle()
            await self.house.gitea.courier.idle()
            task = await self.house.task(key)
            if task is not None and (task.stage, task.waiting) == (stage, waiting) and await self.house.is_quiet():
                return task
            await asyncio.sleep(0.02)  # waits: before the next look
        raise AssertionError(f"not {stage}/{waiting} in {DEADLINE_S:g} s: {task}; {await self.house.unquiet()}")

    async def approved(self, key: str = KEY) -> None:
        """Wait for the analysis, and let a person approve it."""
        await self.reaches("analysis", Waiting.PERSON, key)
        self.house.plane.comment(key, ":approved:")

    def shown(self, key: str = KEY) -> list[str]:
        """Every status that Conveyor gave the issue, in order."""
        plane = self.house.plane
        return [
            one.new_value or ""
            for one in plane.activities_of(key)
            if one.field == "state" and one.created_by == self.house.bot.id
        ]

    async def notes(self, key: str = KEY) -> list[str]:
        """What was decided, sentence by sentence."""
        return [note for one in await self.house.revisions(key) for note in one.record.notes]


@asynccontextmanager
async def open_stage(
    bus: Bus,
    nats_url: str,
    folder: Path,
    *,
    engines: int = 1,
    pipeline: str = "",
    prepare: Callable[[House], object] = lambda _house: None,
    **project: Any,
) -> AsyncIterator[Stage]:
    """Open the house, `prepare` it, and start everything; fields of `project` are configured otherwise than usual."""
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(open_house(bus, nats_url, folder, pipeline))
        prepare(house)
        house.change_project(**project)
        await stack.enter_async_context(services.gateway(house))
        for _ in range(engines):
            await stack.enter_async_context(services.engine(house, **SOON))
        yield Stage(house, await stack.enter_async_context(stand_in_runner.running(house)))
