"""Puts the reconciler together: the only file here that knows which tracker and forge there are."""

import asyncio
import sys
import uuid
from collections.abc import Awaitable, Callable
from importlib.metadata import version

from msgspec import Struct

from conveyor.adapters.gitea import GiteaForge
from conveyor.adapters.plane import PlaneTracker, shared_limiter
from conveyor.contracts import subjects
from conveyor.contracts.errors import ConveyorError
from conveyor.contracts.streams import LEASES, RECONCILER
from conveyor.reconciler.figures import Figures
from conveyor.reconciler.handlers import Reconciler, Report, World
from conveyor.reconciler.settings import ReconcilerSettings, Settings
from conveyor.servicekit import logs
from conveyor.servicekit.bus import Bucket, Bus, EventLog, Lease, TaskStore, connect, leader, provision, ready, register
from conveyor.servicekit.clock import SYSTEM_CLOCK, Clock
from conveyor.servicekit.health import Health, health_server
from conveyor.servicekit.lifecycle import Service
from conveyor.servicekit.metrics import Metrics
from conveyor.servicekit.sections import PlaneSettings

LEASE = "reconciler"


class Mode(Struct, frozen=True, kw_only=True):
    """How it was started."""

    once: bool = False
    """Make one pass, lease or not, and stop."""
    dry_run: bool = False
    """Print what a pass would publish, and stop (RC-12)."""


async def start(service: Service, settings: Settings) -> None:
    """Start the reconciler inside a service."""
    await started(Mode())(service, settings)


def started(mode: Mode) -> Callable[[Service, Settings], Awaitable[None]]:
    """Return what starts the reconciler in this mode."""

    async def start_in_mode(service: Service, settings: Settings) -> None:
        bus = await connect(settings.nats, name="reconciler")
        service.resources.push_async_callback(bus.close)
        await provision(bus, settings.nats.replicas)
        world = await compose(service, settings, bus)
        if mode.once or mode.dry_run:
            report = await Reconciler(world, settings.reconciler, is_dry=mode.dry_run).run_pass()
            tell(report)
            service.stop("one pass made")
            return
        await run(service, settings.reconciler, bus, world)

    return start_in_mode


async def compose(service: Service, settings: Settings, bus: Bus, clock: Clock = SYSTEM_CLOCK) -> World:
    """Return everybody the reconciler asks; they are closed with the service."""
    tracker = _tracker(settings.plane)
    service.resources.push_async_callback(tracker.close)
    forge = GiteaForge(settings.gitea.url, settings.gitea.token.reveal())
    service.resources.push_async_callback(forge.close)
    return World(
        projects=settings.project,
        tracker=tracker,
        forge=forge,
        events=EventLog(bus),
        tasks=TaskStore(bus),
        notes=Bucket(bus, RECONCILER),
        clock=clock,
        own_user_id=settings.plane.bot_user_id,
    )


def _tracker(plane: PlaneSettings) -> PlaneTracker:
    """Return a tracker with a key of its own, or one that leaves its key's other users their share."""
    if plane.polling_api_key:
        return PlaneTracker(plane.url, plane.workspace, plane.polling_api_key.reveal())
    key = plane.api_key.reveal()
    limiter = shared_limiter(plane.url, key).leaving(plane.reserve_per_minute)
    return PlaneTracker(plane.url, plane.workspace, key, limiter=limiter)


async def run(service: Service, settings: ReconcilerSettings, bus: Bus, world: World) -> None:
    """Serve health and make passes while this process leads."""
    metrics, health = Metrics("reconciler"), Health()
    health.check("bus", lambda: ready(bus))
    server = health_server(health, metrics, settings.http)
    await server.start()
    service.resources.push_async_callback(server.stop)
    service.resources.push_async_callback(await register(bus, "reconciler", version("conveyor-reconciler")))
    service.spawn("bus", bus.watch(service.stopping))
    if not settings.enabled:
        logs.get("reconciler").warning("switched off: lost webhooks stay lost")
        return
    sweeps = Sweeps(Reconciler(world, settings), Figures(metrics), settings.interval_s, service.stopping)
    lease = Lease(Bucket(bus, LEASES), LEASE, uuid.uuid4().hex, settings.lease_s)
    service.spawn("sweeps", leader(lease, sweeps.lead, stopping=service.stopping))


class Sweeps:
    """One pass after the other, for as long as this process leads."""

    def __init__(self, reconciler: Reconciler, figures: Figures, interval_s: float, stopping: asyncio.Event) -> None:
        self._reconciler = reconciler
        self._figures = figures
        self._interval_s = interval_s
        self._stopping = stopping

    async def lead(self, _token: int) -> None:
        """Make passes until told to stop; one that fails as a whole is tried again after the interval."""
        while not self._stopping.is_set():
            try:
                self._figures.count(await self._reconciler.run_pass())
            except ConveyorError as error:
                logs.get("reconciler").warning("pass failed", reason=str(error))
            await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._interval_s):
                await self._stopping.wait()
        except TimeoutError:
            return


def tell(report: Report) -> None:
    """Print what one pass found, an event a line."""
    for event in report.found:
        sys.stdout.write(f"{event.at.isoformat()}  {event.key}  {subjects.kind(type(event))}\n")
    sys.stdout.write(f"{len(report.found)} missing, {report.looked} looked at, {report.failed} failed\n")
