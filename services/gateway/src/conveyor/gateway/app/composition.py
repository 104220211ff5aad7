"""The composition root: makes what the gateway is of, in the order in which it is needed, and closes it at the end."""

import asyncio
import os
from collections.abc import Awaitable, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from conveyor.adapters.gitea import GiteaForge
from conveyor.adapters.plane import PlaneTracker
from conveyor.contracts.errors import ConveyorError, SettingsError
from conveyor.contracts.streams import LOOKUP
from conveyor.gateway.admission import Admission
from conveyor.gateway.app.gitea_source import gitea_source
from conveyor.gateway.app.plane_source import plane_source
from conveyor.gateway.core.registry import Registry
from conveyor.gateway.drain import Drain
from conveyor.gateway.figures import Figures
from conveyor.gateway.handlers import Intake
from conveyor.gateway.http import figures_pages
from conveyor.gateway.http.document import describe
from conveyor.gateway.http.webhooks import Door, Doors
from conveyor.gateway.ports import Source
from conveyor.gateway.resolve import Resolver
from conveyor.gateway.settings import Settings
from conveyor.gateway.spool.queue import Spool
from conveyor.gateway.spool.segments import claim
from conveyor.gateway.streams import attend
from conveyor.gateway.ways import Ways
from conveyor.servicekit import logs
from conveyor.servicekit.bus import Bucket, Bus, GroupCommit, TaskStore, connect, ready
from conveyor.servicekit.clock import SYSTEM_CLOCK, Clock
from conveyor.servicekit.health import Health, HttpServer
from conveyor.servicekit.health import routes as health_routes
from conveyor.servicekit.lifecycle import Service
from conveyor.servicekit.metrics import Metrics
from conveyor.servicekit.sections import HttpSettings


async def start(service: Service, settings: Settings) -> None:
    """Start the gateway inside a service."""
    await build(service, settings)


async def build(service: Service, settings: Settings, clock: Clock = SYSTEM_CLOCK) -> HttpServer:
    """Start the gateway inside a service and return its running HTTP server; SettingsError for what cannot work.

    It starts without the bus as well: until that is there, deliveries wait in the spool.
    """
    check(settings)
    bus = await connect(settings.nats, name="gateway", wait_s=0)
    service.resources.push_async_callback(bus.close)
    service.spawn("bus", bus.watch(service.stopping))
    tracker = PlaneTracker(settings.plane.url, settings.plane.workspace, settings.plane.api_key.reveal())
    service.resources.push_async_callback(tracker.close)
    forge = GiteaForge(settings.gitea.url, settings.gitea.token.reveal())
    service.resources.push_async_callback(forge.close)
    registry, tasks = Registry(settings.project), TaskStore(bus)
    resolver = Resolver(registry=registry, lookup=Bucket(bus, LOOKUP), tracker=tracker, forge=forge, tasks=tasks)
    admission = Admission(registry=registry, tracker=tracker, events=GroupCommit(bus), resolver=resolver)
    sources = (plane_source(settings, tracker), gitea_source(settings, forge))
    metrics = Metrics("gateway")
    figures = Figures(metrics)
    spools = await open_spools(service, settings, sources, figures)
    await attend(service, bus, settings.nats.replicas)
    ways = Ways(admission=admission, spools=spools, is_bus_there=lambda: bus.is_connected)
    for source in sources:
        figures.watch(source.name, spools[source.name], clock)
        drain = Drain(source, ways, figures, clock)
        service.spawn(f"drain-{source.name}", drain.run(service.stopping))
    app = FastAPI(title="Conveyor gateway", version=version("conveyor-gateway"), docs_url=None, redoc_url=None)
    intake = Intake(ways, settings.gateway.answer_within_s, clock)
    max_bytes = settings.gateway.max_body_bytes
    doors = {source.name: Door(source, intake, figures, max_bytes) for source in sources}
    app.router.routes.extend(health_routes(health_of(bus, spools), metrics))
    app.include_router(figures_pages.routes(registry, tasks))
    describe(app, sources)
    server = HttpServer(Doors(doors, app), HttpSettings(host=settings.gateway.host, port=settings.gateway.port))
    await server.start()
    service.resources.push_async_callback(server.stop)
    service.spawn("warm-up", warm_up(sources, tracker, registry), may_end=True)
    logs.get("gateway").info("listening", url=server.url)
    return server


async def open_spools(
    service: Service, settings: Settings, sources: tuple[Source, ...], figures: Figures
) -> dict[str, Spool]:
    """Return every source's spool with what an earlier process left in it; SettingsError when it cannot be had."""
    folder = (service.config_path.parent if service.config_path else Path()) / settings.gateway.spool_dir
    service.resources.callback(os.close, await asyncio.to_thread(claim, folder))
    spools = {}
    for source in sources:
        on_damage = partial(figures.damaged, source.name)
        spools[source.name] = await asyncio.to_thread(
            Spool, folder / source.name, settings.gateway.spool_max_bytes, on_damage
        )
        service.resources.push_async_callback(spools[source.name].close)
    return spools


def health_of(bus: Bus, spools: Mapping[str, Spool]) -> Health:
    """Return what readiness means here: the bus is there. Without it the reason says how much waits for it."""
    health = Health()

    async def check_bus() -> str | None:
        try:
            await ready(bus)
        except ConveyorError as error:
            return f"{error}; spool: {sum(spool.depth for spool in spools.values())} deliveries"
        return None

    health.check("bus", check_bus)
    return health


def check(settings: Settings) -> None:
    """Raise SettingsError unless every source that is let in can also be asked."""
    if settings.plane.webhook_secrets and not (settings.plane.url and settings.plane.api_key):
        raise SettingsError("plane.url and plane.api_key: needed where plane.webhook_secret is set")
    if settings.gitea.webhook_secrets and not (settings.gitea.url and settings.gitea.token):
        raise SettingsError("gitea.url and gitea.token: needed where gitea.webhook_secret is set")


async def warm_up(sources: tuple[Source, ...], tracker: PlaneTracker, registry: Registry) -> None:
    """Ask beforehand what the first deliveries would have to wait for; what fails is asked again when needed."""
    log = logs.get("gateway")
    for source in sources:
        if source.secrets:
            await _tried(source.own_id(), f"own account at {source.name}", log)
    for project in registry.projects if sources[0].secrets else ():
        await _tried(tracker.states(project.tracker_project_id), f"states of {project.name}", log)


async def _tried(question: Awaitable[object], what: str, log: Any) -> None:
    try:
        await question
    except ConveyorError as error:
        log.warning("not known yet", what=what, reason=str(error))
