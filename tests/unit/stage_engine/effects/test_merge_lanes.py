"""Merges of all projects on one repository keep their order, over crashes and engines; other repositories go on."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from conveyor.contracts.errors import PermanentError, TransientError
from conveyor.contracts.pipelines import default_pipeline
from conveyor.contracts.project import Project
from conveyor.servicekit.bus import Bus, ConsumerSpec, Delivery, InOrder, Leave, consume
from conveyor.stage_engine.effects.lanes import MergeLanes
from conveyor.stage_engine.projects import Projects

Eventually = Callable[..., Awaitable[Any]]
SPEC = ConsumerSpec(stream="COMMANDS", durable="merges", subjects=("command.effect.merge.>",), ack_wait_s=0.5)
REPOSITORIES = {"shop": "acme/tea", "web": "Acme/Tea", "other": "acme/other"}
PROJECTS = Projects(
    tuple(
        Project(name=name, tracker_project_id=f"p-{name}", identifier=name.upper(), repository=repository)
        for name, repository in REPOSITORIES.items()
    ),
    {"default": default_pipeline()},
)
LANES = MergeLanes(PROJECTS)


class Engine:
    """Writes down what it merges; an engine that dies leaves the first in hand, a busy one comes to none."""

    def __init__(self, bus: Bus, *, dies: bool = False) -> None:
        self.merged: list[str] = []
        self.may_merge = asyncio.Event()
        self.stopping = asyncio.Event()
        self._dies = dies
        handler = InOrder(bus, SPEC, LANES.beside, self)
        self.life = asyncio.create_task(
            consume(bus, SPEC, handler, concurrency=8, lane=LANES.lane, stopping=self.stopping)
        )

    async def __call__(self, delivery: Delivery) -> None:
        if self._dies:
            self.merged.append("")
            raise Leave
        if not self.may_merge.is_set() and "other" not in delivery.subject:
            raise TransientError("somebody else holds the repository", retry_after_s=0.05)
        self.merged.append(delivery.subject.rpartition(".")[2])

    async def end(self) -> None:
        self.stopping.set()
        await self.life


@pytest.mark.behaviour("SE-16")
async def test_projects_on_one_repository_share_one_queue_in_order_and_others_are_not_held_up(
    bus: Bus, eventually: Eventually
) -> None:
    for project, name in (("shop", "1"), ("web", "2"), ("shop", "3"), ("other", "x"), ("web", "4")):
        await bus.request(f"command.effect.merge.{project}.T-1.{name}", b"{}")
    dying = Engine(bus, dies=True)
    await eventually(lambda: dying.merged)
    await dying.end()
    heir = Engine(bus)
    await eventually(lambda: "x" in heir.merged)
    assert heir.merged == ["x"], "its repository is another"
    heir.may_merge.set()
    await eventually(lambda: "4" in heir.merged)
    await heir.end()
    first = list(dict.fromkeys(name for name in heir.merged if name != "x"))
    assert first == ["1", "2", "3", "4"]


def test_a_merge_of_an_unknown_project_is_told() -> None:
    delivery = Delivery(subject="command.effect.merge.gone.T-1.1", body=b"", seq=1, delivered=1, at=None)  # type: ignore[arg-type] # never read
    with pytest.raises(PermanentError, match="no \\[\\[project\\]\\] is called 'gone'"):
        LANES.beside(delivery)
