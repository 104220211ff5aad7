"""The demo's world: a simulated Plane with one project, a simulated Gitea with one real repository, their users."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from conveyor.simulator.gitea import GiteaServer
from conveyor.simulator.plane.server import PlaneOptions, PlaneServer
from conveyor.simulator.plane.world import Issue, Project, User

REPOSITORY = "acme/shop"
BOT = "conveyor-bot"
CI_CONTEXT = "ci/test"
CI_DELAY_S = 0.2
RATE_LIMIT = 6000
"""Requests a minute: the demo makes in seconds what a real project makes in hours."""
FILES = {
    "README.md": "# Shop\n\nA small shop, and the place where the demo's work ends up.\n",
    "src/shop.py": '"""The shop."""\n\n\ndef greeting() -> str:\n'
    '    """Return what the shop says first."""\n    return "Welcome!"\n',
}


@dataclass(frozen=True)
class DemoWorld:
    """Both servers, and what the configuration has to know of them."""

    plane: PlaneServer
    gitea: GiteaServer
    project: Project
    bot: User
    bot_token: str
    plane_secret: str
    gitea_secret: str

    def subscribe(self, gateway_url: str) -> None:
        """Register the gateway's webhooks with both servers."""
        self.plane.add_webhook(f"{gateway_url}/webhook/plane", secret=self.plane_secret)
        self.gitea.add_hook(REPOSITORY, f"{gateway_url}/webhook/gitea", self.gitea_secret, ())

    def issue(self, title: str, text: str) -> Issue:
        """Write an issue, as the owner."""
        return self.plane.create_issue(self.project, title, f"<p>{text}</p>", state="Todo")

    async def log(self, count: int) -> list[str]:
        """Return the newest commits of the repository's main branch, as `git log --oneline` tells them."""
        bare = self.gitea.repo(REPOSITORY).git.path
        command = ("git", "-C", str(bare), "log", "--oneline", "--no-decorate", f"--max-count={count}", "main")
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        out, _ = await process.communicate()
        return out.decode().splitlines()


@asynccontextmanager
async def demo_world(folder: Path) -> AsyncIterator[DemoWorld]:
    """Serve the world; the repositories lie in the folder and stay there."""
    async with AsyncExitStack() as stack:
        gitea = await stack.enter_async_context(GiteaServer(folder / "gitea"))
        plane = await stack.enter_async_context(PlaneServer(PlaneOptions(rate_limit=RATE_LIMIT)))
        gitea.create_user("acme")
        gitea.create_user(BOT)
        await gitea.create_repo(REPOSITORY, FILES)
        gitea.add_collaborator(REPOSITORY, BOT)
        gitea.enable_ci(REPOSITORY, context=CI_CONTEXT, delay_s=CI_DELAY_S)
        project = plane.create_project("Shop", "SHOP")
        yield DemoWorld(
            plane=plane,
            gitea=gitea,
            project=project,
            bot=plane.add_user("Conveyor", is_bot=True),
            bot_token=gitea.create_token(BOT),
            plane_secret=f"plane_wh_{uuid4().hex}",
            gitea_secret=uuid4().hex,
        )
