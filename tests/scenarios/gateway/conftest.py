"""The house of the gateway's scenarios."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from conveyor.servicekit.bus import Bus
from conveyor.servicekit.nats_process import NatsProcess
from conveyor.simulator.gitea import GiteaServer
from conveyor.simulator.plane.server import PlaneOptions, PlaneServer
from tests.scenarios.gateway.house import GITEA_SECRET, NEW, House, running, settings_of


@pytest.fixture
async def senders(tmp_path: Path) -> AsyncIterator[tuple[PlaneServer, GiteaServer]]:
    async with PlaneServer(PlaneOptions(retry_delay_s=0.5)) as plane, GiteaServer(tmp_path / "gitea") as gitea:
        plane.create_project("Shop", "SHOP")
        for login in ("acme", "conveyor", "ada"):
            gitea.create_user(login)
        await gitea.create_repo("acme/shop")
        for login in ("conveyor", "ada"):
            gitea.add_collaborator("acme/shop", login)
        yield plane, gitea
        assert not plane.courier.faults


@pytest.fixture
async def house(
    senders: tuple[PlaneServer, GiteaServer], nats: NatsProcess, bus: Bus, tmp_path: Path
) -> AsyncIterator[House]:
    plane, gitea = senders
    bot = plane.add_user("Conveyor", is_bot=True)
    async with running(settings_of(senders, bot, nats.url, tmp_path / "spool")) as server:
        plane.add_webhook(f"{server.url}/webhook/plane", secret=NEW)
        gitea.add_hook("acme/shop", f"{server.url}/webhook/gitea", GITEA_SECRET)
        yield House(plane, gitea, bot, server.url, bus)
