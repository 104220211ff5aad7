"""A house with both senders, the gateway between them and a real bus: what the gateway's scenarios happen in."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from conveyor.contracts.events import AnyEvent
from conveyor.contracts.project import Project
from conveyor.gateway.app import build
from conveyor.gateway.settings import GatewaySettings, Settings
from conveyor.servicekit.bus import Bus, EventLog
from conveyor.servicekit.clock import SYSTEM_CLOCK, Clock
from conveyor.servicekit.health import HttpServer
from conveyor.servicekit.lifecycle import Service
from conveyor.servicekit.secret import Secret
from conveyor.servicekit.sections import GiteaSettings, NatsSettings, PlaneSettings
from conveyor.simulator.gitea import GiteaServer
from conveyor.simulator.plane.server import PlaneServer
from conveyor.simulator.plane.world import User

OLD, NEW = "plane_wh_old", "plane_wh_new"
GITEA_SECRET = "gitea-secret"


@asynccontextmanager
async def running(settings: Settings, clock: Clock = SYSTEM_CLOCK) -> AsyncIterator[HttpServer]:
    """The gateway, until the block ends; it must not die on the way."""
    service = Service("gateway", grace_s=2)
    started: asyncio.Future[HttpServer] = asyncio.get_running_loop().create_future()

    async def start(service: Service) -> None:
        started.set_result(await build(service, settings, clock))

    life = asyncio.create_task(service.run(start, handle_signals=False))
    await asyncio.wait({life, asyncio.ensure_future(started)}, return_when=asyncio.FIRST_COMPLETED)
    try:
        yield started.result()
    finally:
        service.stop("the test is over")
        assert await life == 0


@dataclass(frozen=True)
class House:
    """Both senders, the gateway between them and the bus."""

    plane: PlaneServer
    gitea: GiteaServer
    bot: User
    url: str
    bus: Bus

    async def events(self, key: str = "SHOP-1", project: str = "shop") -> list[AnyEvent]:
        history = await EventLog(self.bus).history(project, key)
        return [event for _, _, event in history if not isinstance(event, Exception)]

    async def delivered(self) -> list[int | None]:
        """What the senders were answered, once everything is delivered."""
        await self.plane.courier.idle()
        await self.gitea.settled()
        return [one.status for one in (*self.plane.courier.deliveries, *self.gitea.courier.deliveries)]

    async def figures(self) -> str:
        async with httpx.AsyncClient() as client:
            return (await client.get(f"{self.url}/metrics")).text


def settings_of(
    senders: tuple[PlaneServer, GiteaServer], bot: User, nats_url: str, spool: Path, **gateway: Any
) -> Settings:
    plane, gitea = senders
    (project,) = plane.world.projects.values()
    return Settings(
        nats=NatsSettings(url=nats_url),
        plane=PlaneSettings(
            url=plane.url, workspace=plane.slug, api_key=Secret(bot.api_key), webhook_secrets=(Secret(OLD), Secret(NEW))
        ),
        gitea=GiteaSettings(
            url=gitea.url, token=Secret(gitea.create_token("conveyor")), webhook_secrets=(Secret(GITEA_SECRET),)
        ),
        project=(Project(name="shop", tracker_project_id=project.id, identifier="SHOP", repository="acme/shop"),),
        gateway=GatewaySettings(port=0, spool_dir=str(spool), **gateway),
    )


def signed(body: bytes, secret: str = OLD, **headers: str) -> dict[str, str]:
    """The headers of a delivery of Plane's."""
    return {"Content-Type": "application/json", "X-Plane-Signature": signature(body, secret), **headers}


def signature(body: bytes, secret: str) -> str:
    """The way both senders sign: HMAC-SHA256 of the raw body, in hex."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
