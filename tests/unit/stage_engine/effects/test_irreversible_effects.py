"""What cannot be undone: looked at before they are done, under a lease, by one owner at a time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from conveyor.adapters.gitea import GiteaForge
from conveyor.contracts.commands import AnyCommand, DeleteBranch
from conveyor.contracts.errors import TransientError
from conveyor.contracts.pipelines import default_pipeline
from conveyor.contracts.project import Project
from conveyor.contracts.streams import LEASES
from conveyor.contracts.task import DONE, Task
from conveyor.servicekit.bus import Bucket, Bus, Lease
from conveyor.simulator.gitea import GiteaServer
from conveyor.stage_engine.effects.forge import BranchEffects
from conveyor.stage_engine.effects.ownership import under_lease
from conveyor.stage_engine.projects import Projects

Eventually = Callable[..., Awaitable[Any]]
AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
REPO, BRANCH = "acme/shop", "feature/SHOP-1-tea"
SHOP = Project(name="shop", tracker_project_id="p", identifier="SHOP", repository=REPO)
PROJECTS = Projects((SHOP,), {"default": default_pipeline()})
HEAD: dict[str, Any] = {
    "command_id": "shop-SHOP-1-5-1",
    "project": "shop",
    "key": "SHOP-1",
    "revision": 5,
    "trace_id": "t",
    "issued_at": AT,
}


def task(stage: str = "deploy") -> Task:
    return Task(
        project="shop",
        key="SHOP-1",
        issue_id="i",
        title="Tea",
        stage=stage,
        created_at=AT,
        entered_at=AT,
        branch=BRANCH,
    )


@dataclass(frozen=True)
class Bench:
    gitea: GiteaServer
    forge: GiteaForge


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with GiteaServer(tmp_path / "gitea") as gitea:
        gitea.create_user("acme")
        await gitea.create_repo(REPO)
        await gitea.push(REPO, BRANCH, {"tea.py": "green"})
        forge = GiteaForge(gitea.url, gitea.create_token("acme"))
        yield Bench(gitea, forge)
        await forge.close()


@pytest.mark.behaviour("SE-17")
async def test_a_branch_is_deleted_only_of_a_task_that_is_over(bench: Bench) -> None:
    effects = BranchEffects(PROJECTS, bench.forge)
    command = DeleteBranch(**HEAD, branch=BRANCH)
    await effects.delete(command, task())
    assert bench.gitea.branch_sha(REPO, BRANCH)
    await effects.delete(command, task(DONE))
    await effects.delete(command, task(DONE))
    assert bench.gitea.branch_sha(REPO, BRANCH) is None


@pytest.mark.behaviour("SE-17")
async def test_a_branch_that_somebody_pushed_to_since_is_kept(bench: Bench) -> None:
    effects = BranchEffects(PROJECTS, bench.forge)
    known = bench.gitea.branch_sha(REPO, BRANCH)
    assert known
    await bench.gitea.push(REPO, BRANCH, {"tea.py": "black"})
    command = DeleteBranch(**HEAD, branch=BRANCH, head=known)
    await effects.delete(command, task(DONE))
    now = bench.gitea.branch_sha(REPO, BRANCH)
    assert now
    await effects.delete(structs.replace(command, head=now), task(DONE))
    assert bench.gitea.branch_sha(REPO, BRANCH) is None


class Owner:
    """One engine's irreversible effect: it begins, and ends when it is told."""

    def __init__(self, bus: Bus, name: str) -> None:
        self._bus, self._name = bus, name
        self.begun = 0
        self.may_end = asyncio.Event()
        self.effect = under_lease(self._work, self._lease)

    async def _work(self, _command: Any, _task: Task) -> dict[str, str]:
        self.begun += 1
        await self.may_end.wait()
        return {"by": self._name}

    def _lease(self, _command: AnyCommand) -> Lease:
        return Lease(Bucket(self._bus, LEASES), "repository.acme.shop", owner=self._name, ttl_s=1)


@pytest.mark.behaviour("SE-17")
async def test_a_second_actor_does_nothing_while_the_owner_lives(bus: Bus, eventually: Eventually) -> None:
    one, other = Owner(bus, "one"), Owner(bus, "other")
    command = DeleteBranch(**HEAD, branch=BRANCH)
    first = asyncio.ensure_future(one.effect(command, task()))
    await eventually(lambda: one.begun)
    with pytest.raises(TransientError, match="has a live owner"):
        await other.effect(command, task())
    one.may_end.set()
    assert await first == {"by": "one"}
    other.may_end.set()
    assert await other.effect(command, task()) == {"by": "other"}


@pytest.mark.behaviour("SE-17")
async def test_an_owner_keeps_its_lease_for_longer_than_one_life_of_it(bus: Bus, eventually: Eventually) -> None:
    one, other = Owner(bus, "one"), Owner(bus, "other")
    command = DeleteBranch(**HEAD, branch=BRANCH)
    first = asyncio.ensure_future(one.effect(command, task()))
    await eventually(lambda: one.begun)
    revision = (await _held(bus)).revision
    await eventually(lambda: _renewed(bus, revision + 4))
    with pytest.raises(TransientError):
        await other.effect(command, task())
    one.may_end.set()
    await first
    assert other.begun == 0


@pytest.mark.behaviour("SE-17")
async def test_a_dead_owners_work_is_taken_over_when_its_lease_ends(bus: Bus, eventually: Eventually) -> None:
    other = Owner(bus, "other")
    dead = Lease(Bucket(bus, LEASES), "repository.acme.shop", owner="dead", ttl_s=1)
    assert await dead.acquire() is not None
    other.may_end.set()
    command = DeleteBranch(**HEAD, branch=BRANCH)

    async def taken_over() -> Any:
        try:
            return await other.effect(command, task())
        except TransientError:
            return None

    assert await eventually(taken_over) == {"by": "other"}


@pytest.mark.behaviour("SE-17")
async def test_an_owner_whose_lease_was_seized_stops(bus: Bus, eventually: Eventually) -> None:
    """An operator may release it by force; whoever held it does not go on."""
    one = Owner(bus, "one")
    first = asyncio.ensure_future(one.effect(DeleteBranch(**HEAD, branch=BRANCH), task()))
    await eventually(lambda: one.begun)
    await Lease(Bucket(bus, LEASES), "repository.acme.shop", owner="operator", ttl_s=1).seize()
    with pytest.raises(TransientError, match="taken over") as lost:
        await first
    assert lost.value.retry_after_s, "it comes again soon, however often it has come for another owner's lease before"


@pytest.mark.behaviour("SE-17")
async def test_what_an_operator_released_is_done_by_the_next_and_not_by_who_hung(
    bus: Bus, eventually: Eventually
) -> None:
    hangs, other = Owner(bus, "hangs"), Owner(bus, "other")
    command = DeleteBranch(**HEAD, branch=BRANCH)
    first = asyncio.ensure_future(hangs.effect(command, task()))
    await eventually(lambda: hangs.begun)
    await Lease(Bucket(bus, LEASES), "repository.acme.shop", owner="operator", ttl_s=1).seize()
    other.may_end.set()
    assert await other.effect(command, task()) == {"by": "other"}
    with pytest.raises(TransientError, match="taken over"):
        await first
    assert (hangs.begun, hangs.may_end.is_set()) == (1, False), "it was stopped before it had done anything"


async def _held(bus: Bus) -> Any:
    return await Bucket(bus, LEASES).get("repository.acme.shop")


async def _renewed(bus: Bus, revision: int) -> bool:
    held = await _held(bus)
    return held is not None and held.revision >= revision
