"""A forge with one branch, and the gate's view of it at one commit."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from conveyor.adapters.gitea import GiteaForge
from conveyor.contracts.commands import EvaluateGate, GateCause
from conveyor.contracts.events import CheckResult
from conveyor.contracts.project import Project
from conveyor.servicekit.clock import SYSTEM_CLOCK
from conveyor.simulator.gitea import GiteaServer
from conveyor.stage_engine.gates.context import Context, Ground
from conveyor.stage_engine.gates.registry import REGISTRY

REPO, BRANCH, DOCS = "acme/shop", "feature/SHOP-1-tea", "docs/tasks/SHOP-1"
SHOP = Project(name="shop", tracker_project_id="p", identifier="SHOP", repository=REPO)


@dataclass
class Prober:
    """A deployed system that is well, or not."""

    is_well: bool = True
    asked: list[str] = field(default_factory=list)

    async def healthy(self, url: str) -> bool:
        self.asked.append(url)
        return self.is_well


@dataclass
class Bench:
    """The forge as people change it, and `check`, which looks at it as a gate does."""

    gitea: GiteaServer
    forge: GiteaForge
    prober: Prober = field(default_factory=Prober)
    project: Project = SHOP
    patience_s: float = 5.0

    def configure(self, **fields: Any) -> None:
        self.project = structs.replace(self.project, **fields)

    async def push(self, **documents: str) -> str:
        """Commit documents, named with underscores as `d01_analysis`, to the task's branch."""
        names = {name[1:].replace("_", "-"): text for name, text in documents.items()}
        files = {f"{DOCS}/{name}.md": text for name, text in names.items()}
        return await self.gitea.push(REPO, BRANCH, files)

    async def check(self, name: str, sha: str = "", **fields: Any) -> CheckResult:
        """Look with one check at a commit, the head of the branch unless given."""
        return await REGISTRY[name](self.context(name, sha=sha, **fields))

    def context(self, *checks: str, sha: str = "", **fields: Any) -> Context:
        """What a gate of these checks may look at."""
        command = EvaluateGate(
            command_id="shop-SHOP-1-3-0",
            project="shop",
            key="SHOP-1",
            revision=3,
            trace_id="t",
            issued_at=datetime(2026, 1, 5, tzinfo=UTC),
            stage="s",
            checks=checks,
            cause=GateCause.AGENT,
            sha=sha,
            branch=BRANCH,
            issue_id="i",
            docs_dir=DOCS,
            **fields,
        )
        ground = Ground(self.forge, self.prober, SYSTEM_CLOCK, self.patience_s)
        at = sha or self.gitea.branch_sha(REPO, BRANCH) or ""
        return Context(command=command, project=self.project, sha=at, ground=ground)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with GiteaServer(tmp_path / "gitea") as gitea:
        for login in ("acme", "ada", "bob"):
            gitea.create_user(login)
        await gitea.create_repo(REPO)
        for login in ("ada", "bob"):
            gitea.add_collaborator(REPO, login)
        forge = GiteaForge(gitea.url, gitea.create_token("acme"))
        yield Bench(gitea, forge)
        await forge.close()
