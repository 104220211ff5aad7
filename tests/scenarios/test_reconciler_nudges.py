"""Nudges on a running engine: a gate that is green by now lets its task go on, one that stays red leaves no trail."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from conveyor.contracts.commands import GateCause
from conveyor.contracts.events import GateState
from conveyor.contracts.task import DONE, Waiting
from conveyor.servicekit.bus import Bus
from conveyor.servicekit.nats_process import NatsProcess
from tests.rigs import services, sweeping
from tests.rigs.house import REPO
from tests.rigs.stage import SOON, Stage, open_stage

PIPELINE = """
name = "tested"
agent = "claude"
docs_dir = "docs/tasks/{key}"

[[stages]]
name = "development"
role = "developer"
gate = ["has_changes", "ci_green", "branch_mergeable"]
opens_pull_request = true
edges = [{ on = "ci_green", to = "development", cap = 3 }]
"""


@dataclass
class Running:
    """A stage whose engine can be started anew with another configuration."""

    stage: Stage
    engine: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def configured(self, **project: object) -> None:
        """Start the engine, or start it again, with the project configured like this."""
        await self.engine.aclose()
        self.stage.house.change_project(**project)
        await self.engine.enter_async_context(services.engine(self.stage.house, **SOON))


@pytest.fixture
async def running(bus: Bus, nats: NatsProcess, tmp_path: Path) -> AsyncIterator[Running]:
    async with open_stage(bus, nats.url, tmp_path, pipeline=PIPELINE, engines=0) as stage:
        running = Running(stage)
        async with running.engine:
            yield running


async def repairs(stage: Stage, told: list[str], passes: int = 1) -> list[int]:
    """Make so many passes; say how much each repaired, and write down what people are told."""

    async def tell(text: str, _key: str, _level: str = "") -> None:
        told.append(text)

    async with sweeping.reconciler(stage.house, messengers=(tell,)) as sweeper:
        return [(await sweeper.run_pass()).repaired for _ in range(passes)]


@pytest.mark.behaviour("RC-4")
async def test_a_nudged_gate_that_is_red_is_silent_and_one_that_is_green_lets_the_task_go_on(
    running: Running, eventually: Callable[..., Awaitable[Any]]
) -> None:
    """The project needs no CI any more: no webhook tells. Its branch conflicts with the target, until it does not."""
    stage, gitea, told = running.stage, running.stage.house.gitea, list[str]()
    await running.configured(ci=True)
    stage.begin()
    task = await stage.reaches("development", Waiting.FACTS)
    assert task.gate is not None
    assert (task.gate.check, task.gate.state) == ("ci_green", GateState.PENDING)
    assert await repairs(stage, told, 2) == [0, 0]
    with gitea.quietly():
        await gitea.push(REPO, "main", {"tea.py": "print('coffee')\n"}, by="ada")
    await running.configured(ci=False)
    said, shown = stage.house.comments(), stage.shown()

    assert await repairs(stage, told) == [1]
    task = await stage.reaches("development", Waiting.FACTS)
    assert task.gate is not None
    assert (task.gate.check, task.gate.state, task.gate.cause) == (
        "branch_mergeable",
        GateState.REJECTED,
        GateCause.NUDGE,
    )
    revisions = len(await stage.house.revisions())
    assert await repairs(stage, told, 3) == [0, 0, 0]
    assert (stage.house.comments(), stage.shown(), len(await stage.house.revisions())) == (said, shown, revisions)
    assert (task.escalation, task.budget.rollbacks, told) == ("", {}, [])

    with gitea.quietly():
        await gitea.push(REPO, "main", {"tea.py": "print('tea')\n"}, by="ada")
    await eventually(lambda: gitea.pull(REPO, task.pull_request).mergeable)
    assert await repairs(stage, told) == [1]
    await stage.reaches(DONE)
    assert "nudged: the pull request can be merged by now" in await stage.notes()
    assert await repairs(stage, told) == [0]
    assert told == ["SHOP-1 is in done by a repair: it stood still, and nobody would have told it."]
