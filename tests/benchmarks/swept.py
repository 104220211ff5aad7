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


class Asked(Struct, frozen=True):
    """A tracker, as it is asked."""

    url: str
    workspace: str
    api_key: str


@contextlib.asynccontextmanager
async def swept(bus: Bus, *, projects: int, issues: int, settings: ReconcilerSettings) -> AsyncIterator[Ground]:
    """Give so many projects with so many issues each that nobody has touched for a day."""
    async with PlaneServer(PlaneOptions(rate_limit=PLENTY)) as plane:
        bot = plane.add_user("Conveyor", is_bot=True)
        known = tuple(furnished(plane, number, issues) for number in range(projects))
        asked = Asked(plane.url, plane.slug, bot.api_key)
        async with sweeping(bus, asked, known, settings) as world:
            yield Ground(plane, world, Reconciler(world, settings))


@contextlib.asynccontextmanager
async def sweeping(
    bus: Bus, asked: Asked, projects: tuple[Project, ...], settings: ReconcilerSettings
) -> AsyncIterator[World]:
    """Give whom a reconciler asks: this tracker, and a simulated forge."""
    logs.configure(LogSettings(format="json", level="error"), "benchmark")
    async with ground.folder() as where, GiteaServer(where / "gitea") as gitea:
        gitea.create_user("conveyor")
        await gitea.create_repo("conveyor/shop")
        chosen = Settings(
            plane=PlaneSettings(url=asked.url, workspace=asked.workspace, api_key=Secret(asked.api_key)),
            gitea=GiteaSettings(url=gitea.url, token=Secret(gitea.create_token("conveyor"))),
            project=projects,
            reconciler=settings,
        )
        service = Service("reconciler")
        async with service.resources:
            yield await compose(service, chosen, bus)


def furnished(plane: PlaneServer, number: int, issues: int) -> Project:
    """Return a new project with so many issues that nobody has touched for a day."""
    made = plane.create_project(f"Shop {number}", f"S{number}")
    first = plane.create_issue(made, "Sell tea", "<p>Tea.</p>" * 100, quietly=True)
    plane.backdate(first, timedelta(days=1).total_seconds())
    for sequence_id in range(2, issues + 1):
        copy = dataclasses.replace(first, id=str(uuid4()), sequence_id=sequence_id)
        plane.world.issues[copy.id] = copy
    made.last_sequence_id = max(issues, 1)
    return project(number, made.id)


def project(number: int, tracker_project_id: str) -> Project:
    """Return how the reconciler knows a project."""
    name = f"shop-{number}"
    return Project(
        name=name, tracker_project_id=tracker_project_id, identifier=f"S{number}", repository="conveyor/shop"
    )
