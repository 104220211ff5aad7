"""Whom the suite asks: the simulators always, a real Plane and a real Gitea when the environment names one."""

import asyncio
import base64
import json
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from conveyor.simulator.gitea import FORGEJO, GITEA, GiteaServer, Timing
from conveyor.simulator.plane.server import PlaneOptions, PlaneServer

SIMULATOR, REAL = "simulator", "real"
PATIENCE_S = 120.0
"""How long a real server's rate limit is waited for."""


def wanted(name: str, keys: tuple[str, ...]) -> dict[str, str]:
    """What the environment says of a real server; skips the test with the reason when it says nothing."""
    environment = os.environ  # noqa: TID251 - the one place where the suite reads whom to ask
    text = environment.get(name, "")
    if not text:
        pytest.skip(f"{name} names no server (tests/fidelity/README.md)")
    given = json.loads(text) if text.lstrip().startswith("{") else {"url": text}
    for key in keys:
        given.setdefault(key, environment.get(f"{name}_{key.upper()}", ""))
    return {key: str(value) for key, value in given.items()}


@dataclass
class PlaneTarget:
    """A Plane with one project. `keys` by role: bot, human (an admin), guest where there is one."""

    url: str
    slug: str
    project: str
    keys: dict[str, str]
    server: PlaneServer | None = None
    mess: list[str] = field(default_factory=list)
    client: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(timeout=60.0))

    @property
    def is_real(self) -> bool:
        return self.server is None

    @property
    def workspace(self) -> str:
        return f"/api/v1/workspaces/{self.slug}"

    @property
    def place(self) -> str:
        """The project's address."""
        return f"{self.workspace}/projects/{self.project}"

    async def ask(self, method: str, path: str, *, by: str = "bot", text: str | None = None) -> httpx.Response:
        """One answer; a pause that a real server asks for is kept, which is no part of what is looked at."""
        headers = {"Content-Type": "application/json"} | ({"X-API-Key": self.keys[by]} if by in self.keys else {})
        until = asyncio.get_running_loop().time() + PATIENCE_S
        while True:
            answer = await self.client.request(method, self.url + path, content=text, headers=headers)
            if answer.status_code != 429 or asyncio.get_running_loop().time() > until:
                return answer
            await asyncio.sleep(float(answer.headers["retry-after"]))  # waits: as long as the server asked

    async def call(self, method: str, path: str, *, by: str = "bot", **body: Any) -> httpx.Response:
        """Ask with JSON, below the project unless the path is a whole one."""
        whole = path if path.startswith("/") else f"{self.place}/{path}"
        return await self.ask(method, whole, by=by, text=json.dumps(body) if body else None)

    async def made(self, path: str, *, by: str = "bot", **body: Any) -> dict[str, Any]:
        """Make something that has to be there."""
        answer = await self.call("POST", path, by=by, **body)
        assert answer.status_code in (200, 201), answer.text
        if path in ("work-items/", "labels/", "states/"):
            self.mess.append(f"{path}{answer.json()['id']}/")
        return answer.json()

    def unique(self, name: str) -> str:
        """A name that nobody else has used."""
        return f"{name}-{secrets.token_hex(4)}"

    async def tidy(self) -> None:
        """Remove what `made` made, so that a real project stays as it was."""
        while self.mess:
            await self.call("DELETE", self.mess.pop(), by="human")


@asynccontextmanager
async def plane_target(kind: str) -> AsyncIterator[PlaneTarget]:
    """The simulated Plane, or the one that CONVEYOR_REAL_PLANE names."""
    if kind == SIMULATOR:
        async with PlaneServer(PlaneOptions(slug="rig", rate_limit=None)) as plane:
            bot, guest, gone = (plane.add_user(name, role) for name, role in (("bot", 15), ("guest", 5), ("gone", 15)))
            project = plane.create_project("Rig Project", "RIG")
            keys = {"bot": bot.api_key, "human": plane.owner.api_key, "guest": guest.api_key, "expired": gone.api_key}
            plane.revoke_key(gone)
            target = PlaneTarget(plane.url, plane.slug, project.id, keys, plane)
            async with target.client:
                yield target
        return
    given = wanted("CONVEYOR_REAL_PLANE", ("api_key", "workspace", "project", "admin_key", "guest_key"))
    keys = {"bot": given["api_key"], "human": given["admin_key"] or given["api_key"]}
    keys |= {"guest": given["guest_key"]} if given["guest_key"] else {}
    keys["expired"] = f"plane_api_{secrets.token_hex(16)}"
    target = PlaneTarget(given["url"].rstrip("/"), given["workspace"], given["project"], keys)
    async with target.client:
        try:
            yield target
        finally:
            await target.tidy()


@dataclass
class GiteaTarget:
    """A Gitea or Forgejo with a repository of its own for the suite. `tokens` by role: owner, perhaps other."""

    url: str
    repo: str
    tokens: dict[str, str]
    is_forgejo: bool = False
    server: GiteaServer | None = None
    client: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(timeout=60.0))

    @property
    def is_real(self) -> bool:
        return self.server is None

    async def ask(self, method: str, path: str, *, by: str = "owner", **body: Any) -> httpx.Response:
        """Ask below /api/v1."""
        headers = {"Authorization": f"token {self.tokens[by]}"} if by in self.tokens else {}
        return await self.client.request(method, f"{self.url}/api/v1{path}", json=body or None, headers=headers)

    async def call(self, method: str, path: str, *, by: str = "owner", **body: Any) -> httpx.Response:
        """Ask below the repository."""
        return await self.ask(method, f"/repos/{self.repo}{path}", by=by, **body)

    async def commit(self, branch: str, path: str, text: str, *, start: str = "main") -> str:
        """Put a file onto a branch, which is made from `start` unless it is there; return the commit."""
        known = (await self.call("GET", f"/branches/{branch}")).status_code == 200
        where = {"branch": branch} if known else {"branch": start, "new_branch": branch}
        file = await self.call("GET", f"/contents/{path}?ref={where['branch']}")
        body = {"content": base64.b64encode(text.encode()).decode(), "message": f"Write {path}"} | where
        sha = {"sha": file.json()["sha"]} if file.status_code == 200 else {}
        done = await self.call("PUT" if sha else "POST", f"/contents/{path}", **body, **sha)
        assert done.status_code in (200, 201), done.text
        return str(done.json()["commit"]["sha"])

    async def pull(self, branch: str, *, title: str = "", base: str = "main") -> int:
        """Open a pull request and return its number."""
        made = await self.call("POST", "/pulls", head=branch, base=base, title=title or branch)
        assert made.status_code == 201, made.text
        return int(made.json()["number"])

    async def judged(self, number: int) -> dict[str, Any]:
        """The pull request once the check for conflicts is over and found it good; AssertionError after 30 s."""
        until = asyncio.get_running_loop().time() + 30
        while True:
            shown = (await self.call("GET", f"/pulls/{number}")).json()
            if shown["mergeable"]:
                return dict(shown)
            assert asyncio.get_running_loop().time() < until, "never became mergeable"
            await asyncio.sleep(0.05)  # waits: for the check for conflicts

    async def merge(self, number: int, **body: Any) -> httpx.Response:
        """Ask for a merge, again while the server has not made up its mind (at most 15 s)."""
        until = asyncio.get_running_loop().time() + 15
        while True:
            answer = await self.call("POST", f"/pulls/{number}/merge", **{"Do": "merge", **body})
            if "try again later" not in answer.text or asyncio.get_running_loop().time() > until:
                return answer
            await asyncio.sleep(0.1)  # waits: for the check for conflicts

    def other(self) -> str:
        """The role of somebody who did not open the pull request; skips where there is nobody."""
        if "other" not in self.tokens:
            pytest.skip("no other_token: nobody to review what the owner opened")
        return "other"


@asynccontextmanager
async def gitea_target(kind: str, folder: Path) -> AsyncIterator[GiteaTarget]:
    """The simulated Gitea or Forgejo, or the one that CONVEYOR_REAL_GITEA names, with a fresh repository."""
    if kind != REAL:
        flavour = FORGEJO if kind == "forgejo" else GITEA
        async with GiteaServer(folder, timing=Timing(stale_s=0.01, checking_s=0.05), flavour=flavour) as server:
            tokens = {}
            for role, login in (("owner", "orch"), ("other", "critic")):
                server.create_user(login)
                tokens[role] = server.create_token(login)
            target = GiteaTarget(server.url, "orch/fidelity", tokens, flavour.is_forgejo, server)
            async with target.client:
                await _with_repository(target, "orch")
                yield target
        return
    given = wanted("CONVEYOR_REAL_GITEA", ("token", "other_token"))
    tokens = {"owner": given["token"]} | ({"other": given["other_token"]} if given["other_token"] else {})
    target = GiteaTarget(given["url"].rstrip("/"), "", tokens)
    async with target.client:
        version = (await target.ask("GET", "/version")).json()["version"]
        target.is_forgejo = "+gitea-" in version
        owner = (await target.ask("GET", "/user")).json()["login"]
        target.repo = f"{owner}/fidelity-{secrets.token_hex(4)}"
        try:
            await _with_repository(target, owner)
            yield target
        finally:
            await target.call("DELETE", "")


async def _with_repository(target: GiteaTarget, owner: str) -> None:
    name = target.repo.partition("/")[2]
    made = await target.ask("POST", "/user/repos", name=name, private=True, default_branch="main", auto_init=True)
    assert made.status_code == 201, made.text
    assert made.json()["owner"]["login"] == owner
    if "other" in target.tokens:
        login = (await target.ask("GET", "/user", by="other")).json()["login"]
        added = await target.call("PUT", f"/collaborators/{login}", permission="write")
        assert added.status_code == 204, added.text
