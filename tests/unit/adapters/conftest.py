"""A simulated Plane and a simulated Gitea on loopback, and the adapters that talk to them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from conveyor.adapters.gitea import GiteaForge
from conveyor.adapters.plane import PlaneTracker, RateLimiter
from conveyor.contracts.observed import MergeAnswer, MergeResult
from conveyor.simulator.gitea import GiteaServer
from conveyor.simulator.plane.server import PlaneOptions, PlaneServer
from conveyor.simulator.plane.world import Project, User

REPO = "orch/demo"


class Stopwatch:
    """Seconds that pass when a test says so, or when somebody sleeps by it."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


@dataclass
class PlaneBench:
    """One project of a simulated Plane, the bot's account and the tracker that uses its key."""

    plane: PlaneServer
    bot: User
    project: Project
    tracker: PlaneTracker
    watch: Stopwatch
    others: list[PlaneTracker] = field(default_factory=list)

    def tracker_with(self, api_key: str, *, workspace: str = "", limiter: RateLimiter | None = None) -> PlaneTracker:
        tracker = PlaneTracker(
            self.plane.url, workspace or self.plane.slug, api_key, limiter=limiter, monotonic=self.watch
        )
        self.others.append(tracker)
        return tracker

    def asked(self, part: str = "") -> int:
        """How many requests with this in their path were answered."""
        return sum(part in request.path for request in self.plane.requests)


@pytest.fixture
def stopwatch() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
async def bench(stopwatch: Stopwatch) -> AsyncIterator[PlaneBench]:
    async with PlaneServer(PlaneOptions(rate_limit=None)) as plane:
        bot = plane.add_user("orchestrator", is_bot=True)
        project = plane.create_project("Shop", "SHOP")
        tracker = PlaneTracker(plane.url, plane.slug, bot.api_key, monotonic=stopwatch)
        bench = PlaneBench(plane, bot, project, tracker, stopwatch)
        yield bench
        for one in (tracker, *bench.others):
            await one.close()
        assert plane.leftovers() == []


@dataclass
class ForgeBench:
    """A simulated Gitea with one repository, and the forge that uses its owner's token."""

    gitea: GiteaServer
    forge: GiteaForge
    repo: str = REPO

    async def branch(self, name: str, text: str = "new\n", path: str = "new.txt") -> str:
        """Push a branch with one commit and return its sha."""
        return await self.gitea.push(self.repo, name, {path: text})

    async def merged(self, merge: Callable[[], Awaitable[MergeResult]]) -> MergeResult:
        """Merge as an effect does: again while Gitea has not made up its mind."""
        for _ in range(50):
            result = await merge()
            if result.answer is not MergeAnswer.RETRY:
                return result
            await self.gitea.settled()
        return result


@pytest.fixture
async def forge_bench(tmp_path: Path) -> AsyncIterator[ForgeBench]:
    async with GiteaServer(tmp_path) as gitea:
        gitea.create_user("orch")
        gitea.create_user("ada")
        await gitea.create_repo(REPO)
        gitea.add_collaborator(REPO, "ada")
        forge = GiteaForge(gitea.url, gitea.create_token("orch"))
        yield ForgeBench(gitea, forge)
        await forge.close()
