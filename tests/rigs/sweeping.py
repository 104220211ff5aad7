"""A reconciler of a house, inside the test's own process, that believes every webhook lost at once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from conveyor.reconciler.app import compose
from conveyor.reconciler.handlers import Reconciler
from conveyor.reconciler.ports import Messenger
from conveyor.reconciler.settings import ReconcilerSettings, Settings
from conveyor.servicekit.lifecycle import Service
from conveyor.servicekit.secret import Secret
from conveyor.servicekit.sections import GiteaSettings, PlaneSettings
from tests.rigs.house import FORGE_BOT, House

AT_ONCE = {"grace_s": 0.0, "full_every_s": 0.0}
"""No patience and whole lists: a test need not wait until something counts as lost."""


def settings_of(house: House, **reconciler: Any) -> Settings:
    """The configuration of a reconciler of this house."""
    return Settings(
        plane=PlaneSettings(url=house.plane.url, workspace=house.plane.slug, api_key=Secret(house.bot.api_key)),
        gitea=GiteaSettings(url=house.gitea.url, token=Secret(house.gitea.create_token(FORGE_BOT))),
        project=(house.project,),
        reconciler=ReconcilerSettings(**AT_ONCE | reconciler),
    )


@asynccontextmanager
async def reconciler(
    house: House, *, messengers: tuple[Messenger, ...] = (), **settings: Any
) -> AsyncIterator[Reconciler]:
    """Somebody who makes passes over this house, by hand, and tells these."""
    chosen, service = settings_of(house, **settings), Service("reconciler")
    async with service.resources:
        world = await compose(service, chosen, house.bus, messengers=messengers)
        yield Reconciler(world, chosen.reconciler)
