"""A simulated Plane and Gitea with as many projects and issues as wanted, and a reconciler that looks at them."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

from msgspec import Struct

from conveyor.contracts.project import Project
from conveyor.reconciler.app import compose
from conveyor.reconciler.handlers import Reconciler, World
from conveyor.reconciler.settings import ReconcilerSettings, Settings
from conveyor.servicekit import logs
from conveyor.servicekit.bus import Bus
from conveyor.servicekit.lifecycle import Service
from conveyor.servicekit.secret import Secret
from conveyor.servicekit.sections import GiteaSettings, LogSettings, PlaneSettings
from conveyor.simulator.gitea import GiteaServer
from conveyor.simulator.plane.server import PlaneOptions, PlaneServer
from tests.benchmarks import ground

PLENTY = 100_000
"""A rate limit that is never reached: calls are counted here, not held back."""


class Ground(Struct, frozen=True):
    """The tracker and somebody who sweeps it."""

    plane: PlaneServer
    world: World
    reconciler: Reconciler


@contextlib.asynccontextmanager
async def swept(bus: Bus, *, projects: int, issues: int, settings: ReconcilerSettings) -> AsyncIterator[Ground]:
    """Give so many projects with so many issues each that nobody has touched for a day."""
    logs.configure(LogSettings(format="json", level="error"), "benchmark")
    async with (
        ground.folder() as where,
        PlaneServer(PlaneOptions(rate_limit=PLENTY)) as plane,
        GiteaServer(where / "gitea") as gitea,
    ):
        gitea.create_user("conveyor")
        bot = plane.add_user("Conveyor", is_bot=True)
        known = [_project(plane, number, issues) for number in range(projects)]
        chosen = Settings(
            plane=PlaneSettings(url=plane.url, workspace=plane.slug, api_key=Secret(bot.api_key)),
            gitea=GiteaSettings(url=gitea.url, token=Secret(gitea.create_token("conveyor"))),
            project=tuple(known),
            reconciler=settings,
        )
        service = Service("reconciler")
        async with service.resources:
            world = await compose(service, chosen, bus)
            yield Ground(plane, world, Reconciler(world, settings))


def _project(plane: PlaneServer, number: int, issues: int) -> Project:
    made = plane.create_project(f"Shop {number}", f"S{number}")
    first = plane.create_issue(made, "Sell tea", quietly=True)
    plane.backdate(first, timedelta(days=1).total_seconds())
    for sequence_id in range(2, issues + 1):
        copy = dataclasses.replace(first, id=str(uuid4()), sequence_id=sequence_id)
        plane.world.issues[copy.id] = copy
    made.last_sequence_id = max(issues, 1)
    return Project(name=f"shop-{number}", tracker_project_id=made.id, identifier=f"S{number}", repository="acme/shop")
