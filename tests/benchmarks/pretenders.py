"""The world outside as one process: a simulated Plane whose issues just moved to the start, and a simulated Gitea.

`python -m tests.benchmarks.pretenders ISSUES FILE` writes where both are, and the signed webhook of each move.
"""

import asyncio
import signal
import sys
import tempfile
from pathlib import Path

import msgspec
from msgspec import Struct

from conveyor.simulator.gitea import GiteaServer
from conveyor.simulator.plane import happenings
from conveyor.simulator.plane.happenings import Happening
from conveyor.simulator.plane.server import PlaneOptions, PlaneServer
from conveyor.simulator.plane.world import Issue

IDENTIFIER, REPOSITORY, SECRET = "BENCH", "acme/bench", "plane_wh_benchmark"
START = "To Analyse"


class Webhook(Struct, frozen=True):
    """One delivery as Plane would send it."""

    key: str
    body: str
    signature: str


class Outside(Struct, frozen=True):
    """What the services have to know of the world outside."""

    plane_url: str
    workspace: str
    api_key: str
    tracker_project_id: str
    gitea_url: str
    token: str
    webhooks: tuple[Webhook, ...]


def _moved(plane: PlaneServer, issue: Issue) -> Webhook:
    before = issue.state_id
    plane.move_issue(issue, START, quietly=True)
    told = Happening("issue", "updated", issue.id, plane.owner, "state_id", before, issue.state_id)
    data = happenings.data_of(told, plane.world) or {}
    body = happenings.encoded(happenings.envelope(told, "webhook-1", plane.world.workspace_id, data))
    return Webhook(plane.key_of(issue), body.decode(), happenings.signature(SECRET, body))


def _tell(outside: Outside, told: Path) -> None:
    """Write it so that a reader finds all of it or nothing."""
    half = told.with_suffix(".half")
    half.write_bytes(msgspec.json.encode(outside))
    half.replace(told)


async def serve(issues: int, told: Path) -> None:
    """Serve both until SIGTERM. No rate limit: the figure is about Conveyor and not about waiting for Plane."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    with tempfile.TemporaryDirectory() as folder:
        async with PlaneServer(PlaneOptions(rate_limit=None)) as plane, GiteaServer(Path(folder)) as gitea:
            project = plane.create_project("Bench", IDENTIFIER)
            bot = plane.add_user("conveyor", is_bot=True)
            gitea.create_user("acme")
            await gitea.create_repo(REPOSITORY)
            made = [plane.create_issue(project, f"Do thing {number}", quietly=True) for number in range(issues)]
            outside = Outside(
                plane_url=plane.url,
                workspace=plane.slug,
                api_key=bot.api_key,
                tracker_project_id=project.id,
                gitea_url=gitea.url,
                token=gitea.create_token("acme"),
                webhooks=tuple(_moved(plane, issue) for issue in made),
            )
            await asyncio.to_thread(_tell, outside, told)
            await stopping.wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
