"""A simulated Plane with one project of so many issues, alone in its process, so that its work is not counted as ours.

`python -m tests.benchmarks.tracker_alone ISSUES FILE` writes where it is.
"""

import asyncio
import signal
import sys
from pathlib import Path

import msgspec
from msgspec import Struct

from conveyor.simulator.plane.server import PlaneOptions, PlaneServer
from tests.benchmarks.swept import PLENTY, furnished


class Tracker(Struct, frozen=True):
    """What a reconciler has to know of it."""

    url: str
    workspace: str
    api_key: str
    project_id: str


async def serve(issues: int, told: Path) -> None:
    """Serve until SIGTERM."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    async with PlaneServer(PlaneOptions(rate_limit=PLENTY)) as plane:
        bot = plane.add_user("Conveyor", is_bot=True)
        project = furnished(plane, 0, issues)
        where = Tracker(plane.url, plane.slug, bot.api_key, project.tracker_project_id)
        half = told.with_suffix(".half")
        half.write_bytes(msgspec.json.encode(where))
        half.replace(told)
        await stopping.wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
