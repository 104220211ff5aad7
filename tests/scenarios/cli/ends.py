"""Both ends and a gateway between them, as somebody sets them up: a file, a process, and the commands."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from conveyor.cli.up.ports import Ports
from conveyor.simulator.gitea import GiteaServer
from conveyor.simulator.gitea.world import Hook
from conveyor.simulator.plane.server import PlaneServer
from conveyor.simulator.plane.world import WORKING_STATES, StateSpec, User
from tests.conftest import wait_until

REPO = "acme/shop"
BOT = "conveyor"
SECRETS = {"plane": "plane_wh_secret", "gitea": "gitea-secret"}
STAGES = ("Architecture", "Development", "Code Review", "Testing", "Deploying")
STATES = (*WORKING_STATES, *(StateSpec(name, "started") for name in STAGES))
"""A board on which every stage has its own status."""
START_S = 30.0
CONFIGURATION = """\
[nats]
url = "{nats_url}"
embedded = false

[plane]
url = "{plane.url}"
workspace = "{plane.slug}"
api_key_file = "secrets/api_key"
webhook_secret_file = "secrets/plane"

[gitea]
url = "{gitea.url}"
token_file = "secrets/token"
webhook_secret_file = "secrets/gitea"

[[project]]
name = "shop"
tracker_project_id = "{project.id}"
identifier = "SHOP"
repository = "{repository}"

[gateway]
port = {port}
public_url = "http://127.0.0.1:{port}"

[agents.claude]
command = ["{python}", "-c", "pass"]
version = ["{python}", "--version"]
"""


@dataclass
class Ends:
    """Simulated servers, our accounts there, and the configuration that names them."""

    plane: PlaneServer
    gitea: GiteaServer
    bot: User
    folder: Path
    port: int
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.folder / "conveyor.toml"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def hooks(self) -> list[Hook]:
        return list(self.gitea.repo(REPO).hooks.values())

    def write(self, text: str = CONFIGURATION, **secrets: str) -> None:
        """Write the configuration; secrets by the name of their file."""
        token = self.gitea.create_token(BOT)
        (self.folder / "secrets").mkdir(exist_ok=True)
        for name, secret in {**SECRETS, "api_key": self.bot.api_key, "token": token, **secrets}.items():
            (self.folder / "secrets" / name).write_text(secret + "\n")
        (project,) = self.plane.world.projects.values()
        told = {"plane": self.plane, "gitea": self.gitea, "project": project, "repository": REPO, "port": self.port}
        self.config.write_text(text.format(**{**told, "python": sys.executable, **self.values}))

    @asynccontextmanager
    async def gateway(self) -> AsyncIterator[None]:
        """A gateway process of this configuration, until the block ends."""
        with (self.folder / "gateway.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "conveyor.gateway", "--config", str(self.config)), stdout=log, stderr=log
            )
        try:
            await self._answers(process)
            yield
        finally:
            if process.returncode is None:
                process.terminate()
            assert await process.wait() == 0, (self.folder / "gateway.log").read_text()

    async def _answers(self, process: asyncio.subprocess.Process) -> None:
        async with httpx.AsyncClient() as client:

            async def is_ready() -> bool:
                assert process.returncode is None, (self.folder / "gateway.log").read_text()
                try:
                    return (await client.get(f"{self.url}/readyz")).is_success
                except httpx.HTTPError:
                    return False

            await wait_until(is_ready, timeout_s=START_S)


@asynccontextmanager
async def open_ends(nats_url: str, folder: Path, states: tuple[StateSpec, ...] = STATES) -> AsyncIterator[Ends]:
    """Both servers with a project Shop, its repository, our accounts, and a person called Ada."""
    async with PlaneServer() as plane, GiteaServer(folder / "gitea") as gitea:
        plane.create_project("Shop", "SHOP", states=states)
        for login in ("acme", BOT):
            gitea.create_user(login)
        await gitea.create_repo(REPO)
        gitea.add_collaborator(REPO, BOT, "admin")
        with Ports() as ports:
            made = Ends(plane, gitea, plane.add_user("Conveyor", is_bot=True), folder, ports.free("127.0.0.1"))
            made.values["nats_url"] = nats_url
            made.write()
            yield made


def found(diagnosis: Any, area: str, check: str, about: str = "") -> dict[str, str]:
    """The one finding of this check."""
    (one,) = [
        one
        for one in diagnosis["findings"]
        if (one["area"], one["check"]) == (area, check) and about in ("", one["about"])
    ]
    return dict(one)


def wrong(diagnosis: Any) -> set[tuple[str, str, str]]:
    """What is neither fine nor skipped; of the sandbox this machine alone decides."""
    return {
        (one["area"], one["check"], one["level"])
        for one in diagnosis["findings"]
        if one["level"] in ("warning", "failed") and one["area"] != "sandbox"
    }
