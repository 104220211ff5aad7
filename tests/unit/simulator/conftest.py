"""A simulated Gitea with one repository and two people, a receiver for its webhooks, and a REST client."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from conveyor.simulator.gitea import GiteaServer, Timing
from conveyor.simulator.http_server import HttpServer

REPO = "orch/demo"
ALL_EVENTS = ["push", "create", "delete", "pull_request", "issue_comment", "status"]


@dataclass
class Heard:
    """One webhook as it arrived."""

    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        return json.loads(self.raw)

    @property
    def kind(self) -> tuple[str, str, str]:
        return (
            self.headers["x-gitea-event"],
            self.headers["x-gitea-event-type"],
            str(self.body.get("action", "")),
        )


@dataclass
class GiteaBench:
    """The simulated Gitea, a client of its author's, and what its hooks heard."""

    gitea: GiteaServer
    client: httpx.AsyncClient
    receiver_url: str
    heard: list[Heard] = field(default_factory=list)
    repo: str = REPO

    async def call(self, method: str, path: str, *, by: str = "orch", **json_body: Any) -> httpx.Response:
        """Ask REST below the repository, with a token of this user's."""
        headers = {"Authorization": f"token {self.gitea.create_token(by)}"}
        address = f"/api/v1/repos/{self.repo}{path}"
        return await self.client.request(method, address, headers=headers, json=json_body or None)

    async def kinds(self) -> list[tuple[str, str, str]]:
        """Wait until all is quiet, then tell what was heard since the last time."""
        await self.gitea.settled()
        kinds = [one.kind for one in self.heard]
        self.heard.clear()
        return kinds

    async def last(self) -> Heard:
        """Wait until all is quiet and return what was heard last."""
        await self.gitea.settled()
        return self.heard[-1]

    async def git(self, *args: str, cwd: Path, code: int = 0) -> str:
        """Run the real git and return all it said; fail on another exit code."""
        process = await asyncio.create_subprocess_exec(
            "git",
            "-c",
            "user.name=dev",
            "-c",
            "user.email=dev@example.test",
            *args,
            cwd=cwd,
            env={"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(cwd), "GIT_TERMINAL_PROMPT": "0"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        assert process.returncode == code, said.decode()
        return said.decode().strip()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[GiteaBench]:
    heard: list[Heard] = []

    async def take(request: Request) -> Response:
        heard.append(Heard(dict(request.headers), await request.body()))
        return Response()

    receiver = HttpServer(Starlette(routes=[Route("/", take, methods=["POST"])]))
    simulator = GiteaServer(tmp_path / "gitea", timing=Timing(stale_s=0.01, checking_s=0.05))
    async with receiver, simulator as gitea, httpx.AsyncClient(base_url=gitea.url) as client:
        for login in ("orch", "critic"):
            gitea.create_user(login)
        await gitea.create_repo(REPO)
        gitea.add_collaborator(REPO, "critic")
        made = GiteaBench(gitea, client, receiver.url + "/", heard)
        yield made


@pytest.fixture
def hooked(bench: GiteaBench) -> GiteaBench:
    """The same with a hook for everything."""
    bench.gitea.add_hook(REPO, bench.receiver_url, "s3cr3t")
    return bench
