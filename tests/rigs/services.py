"""Services run inside the test's own process, so that a test sees what they do and ends them in order."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec

from conveyor.gateway.app import build
from conveyor.gateway.settings import GatewaySettings
from conveyor.gateway.settings import Settings as Gateway
from conveyor.servicekit.lifecycle import Service
from conveyor.servicekit.secret import Secret
from conveyor.servicekit.sections import GiteaSettings, NatsSettings, PlaneSettings
from conveyor.servicekit.settings import load
from conveyor.stage_engine.app import start as start_engine
from conveyor.stage_engine.settings import Settings as Engine
from tests.rigs.house import FORGE_BOT, REPO, House


@asynccontextmanager
async def running(name: str, start: Callable[[Service], Awaitable[object]], service: Service) -> AsyncIterator[Service]:
    """A service, until the block ends; it must come up, and must not die on the way."""
    up = asyncio.Event()

    async def begin(started: Service) -> None:
        await start(started)
        up.set()

    life = asyncio.create_task(service.run(begin, handle_signals=False), name=name)
    waiting = asyncio.ensure_future(up.wait())
    await asyncio.wait({life, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    assert not life.done(), f"{name} did not start; its log says why"
    try:
        yield service
    finally:
        service.stop("the test is over")
        assert await life == 0


@asynccontextmanager
async def engine(house: House, **settings: object) -> AsyncIterator[Service]:
    """An engine of this house; settings are those of `[engine]`."""
    path = house.configuration(**settings)
    loaded = load(Engine, path, environment={})
    service = Service("stage-engine", grace_s=2, config_path=path)
    async with running("stage-engine", lambda started: start_engine(started, loaded), service):
        yield service


@asynccontextmanager
async def gateway(house: House) -> AsyncIterator[None]:
    """The gateway of this house, subscribed to both servers, so that what people do there becomes events."""
    settings = Gateway(
        nats=NatsSettings(url=house.nats_url),
        plane=PlaneSettings(
            url=house.plane.url,
            workspace=house.plane.slug,
            api_key=Secret(house.bot.api_key),
            webhook_secrets=(Secret("plane_wh_1"),),
        ),
        gitea=GiteaSettings(
            url=house.gitea.url,
            token=Secret(house.gitea.create_token(FORGE_BOT)),
            webhook_secrets=(Secret("gitea-1"),),
        ),
        project=(msgspec.structs.replace(house.project, pipeline="default"),),
        gateway=GatewaySettings(port=0, spool_dir=str(house.folder / "spool")),
    )
    addresses: list[str] = []

    async def start(service: Service) -> None:
        addresses.append((await build(service, settings)).url)

    async with running("gateway", start, Service("gateway", grace_s=2)):
        house.plane.add_webhook(f"{addresses[0]}/webhook/plane", secret="plane_wh_1")
        house.gitea.add_hook(REPO, f"{addresses[0]}/webhook/gitea", "gitea-1")
        yield
        await house.plane.courier.idle()
        await house.gitea.settled()
