"""A bus and a forge in memory, a sender that speaks one word a fact, and the ways a delivery of its can go."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from msgspec import Struct

from conveyor.contracts.errors import MessageError, PermanentError, TransientError
from conveyor.contracts.events import Actor, AnyEvent
from conveyor.contracts.project import Project
from conveyor.contracts.task import Task
from conveyor.gateway.admission import Admission
from conveyor.gateway.core.registry import Registry
from conveyor.gateway.core.told import Other, PushTold, StatusTold, Told
from conveyor.gateway.ports import Source
from conveyor.gateway.resolve import Resolver
from conveyor.gateway.spool.queue import Spool
from conveyor.gateway.ways import Ways

ADA = Actor(actor_id="ada", name="Ada")
REGISTRY = Registry([Project(name="shop", tracker_project_id="p1", identifier="SHOP", repository="acme/shop")])


class Stored(Struct, frozen=True):
    seq: int
    duplicate: bool


@dataclass
class World:
    """A bus and a forge in memory."""

    told: list[tuple[str, str]] = field(default_factory=list)
    """Task and commit of every stored event."""
    bus_fails: int = 0
    forge_error: Exception | None = None
    is_there: bool = True
    too_large: str = "nothing is"
    noted: dict[str, str] = field(default_factory=dict)
    tasks: tuple[Task, ...] = ()
    branches: tuple[str, ...] = ("feature/SHOP-9-x",)
    """Those that stand at any commit."""
    asked: int = 0
    """How often the forge was asked."""

    async def publish(self, event: AnyEvent, _timeout_s: float) -> Stored:
        if getattr(event, "sha", "") == self.too_large:
            raise PermanentError("the server takes less")
        if self.bus_fails:
            self.bus_fails -= 1
            raise TransientError("no answer")
        await asyncio.sleep(0)
        fact = (event.key, getattr(event, "sha", ""))
        known = fact in self.told
        if not known:
            self.told.append(fact)
        return Stored(len(self.told), known)

    async def publish_in_order(self, events: Sequence[AnyEvent], timeout_s: float) -> list[Stored]:
        return [await self.publish(event, timeout_s) for event in events]

    async def history(self, *_task: str) -> Sequence[tuple[int, datetime, AnyEvent | MessageError]]:
        return []

    async def get(self, key: str) -> Any:
        return SimpleNamespace(value=self.noted[key].encode()) if key in self.noted else None

    async def all(self, _project: str) -> Sequence[Any]:
        return [SimpleNamespace(record=SimpleNamespace(task=task)) for task in self.tasks]

    async def branches_at(self, *_commit: str) -> tuple[str, ...]:
        self.asked += 1
        if self.forge_error is not None:
            raise self.forge_error
        return self.branches


def read(headers: Mapping[str, str], body: bytes) -> Told:
    """`SHOP-1 abc` is a push, `? abc` a status of an unknown commit, `-` something else, all the rest is none.

    A push of `elsewhere` is one to a repository that is not ours.
    """
    task, _, sha = body.decode().partition(" ")
    if task == "-":
        return Other(what="something")
    if task == "?":
        return StatusTold(repository="acme/shop", sha=sha, context="ci", state="success", at=None, actor=ADA)
    if not task.startswith("SHOP-"):
        raise MessageError("no delivery")
    return PushTold(
        repository="acme/shop" if sha != "elsewhere" else "acme/other",
        branch=f"feature/{task}-x",
        before="",
        sha=sha,
        actor=ADA,
    )


async def nobody() -> str:
    return "bot"


SOURCE = Source(
    name="gitea",
    secrets=("s",),
    signature_header="S",
    signature_of=lambda _: "",
    verify=lambda *_: True,
    read=read,
    kept_headers=(),
    delivery_id_of=lambda _: "",
    own_id=nobody,
)


def ways_of(world: World, folder: Path, max_bytes: int = 1024 * 1024) -> Ways:
    """Both ways: to the world's bus, and into a spool in this folder."""
    spool = Spool(folder / "gitea", max_bytes, lambda: None)
    resolver = Resolver(registry=REGISTRY, lookup=world, tracker=world, forge=world, tasks=world)  # type: ignore[arg-type] # it asks no tracker
    admission = Admission(registry=REGISTRY, tracker=world, events=world, resolver=resolver)  # type: ignore[arg-type] # as above
    return Ways(admission=admission, spools={"gitea": spool}, is_bus_there=lambda: world.is_there)
