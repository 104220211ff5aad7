"""Puts the reconciler together: the only file here that knows which tracker and forge there are."""

import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

from msgspec import Struct
from starlette.applications import Starlette

from conveyor.adapters.gitea import GiteaForge
from conveyor.adapters.plane import PlaneTracker, shared_limiter
from conveyor.adapters.telegram import Telegram
from conveyor.adapters.webhook_out import WebhookOut
from conveyor.contracts import subjects
from conveyor.contracts.codec import decode_event
from conveyor.contracts.errors import MessageError, SettingsError
from conveyor.contracts.events import AnyEvent
from conveyor.contracts.streams import EVENTS, LEASES, RECONCILER, RUNNERS
from conveyor.reconciler.figures import Figures
from conveyor.reconciler.handlers import Reconciler, Report, World
from conveyor.reconciler.leading import Sweeps
from conveyor.reconciler.patience import Limiter, PatientLimiter
from conveyor.reconciler.ports import Messenger
from conveyor.reconciler.queue_page import queue_page
from conveyor.reconciler.settings import ReconcilerSettings, Settings
from conveyor.reconciler.telling import Chat
from conveyor.reconciler.watch import Door, Senders, Watch
from conveyor.servicekit import logs
from conveyor.servicekit.bus import (
    Bucket,
    Bus,
    EventLog,
    Lease,
    TaskStore,
    connect,
    leader,
    provision,
    ready,
    register,
    scan,
)
from conveyor.servicekit.clock import SYSTEM_CLOCK, Clock
from conveyor.servicekit.health import Health, HttpServer, routes
from conveyor.servicekit.lifecycle import Service
from conveyor.servicekit.metrics import Metrics
from conveyor.servicekit.sections import PlaneSettings, pipelines_of

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


async def compose(
    service: Service,
    settings: Settings,
    bus: Bus,
    clock: Clock = SYSTEM_CLOCK,
    *,
    messengers: tuple[Messenger, ...] | None = None,
) -> World:
    """Return everybody the reconciler asks; they are closed with the service. SettingsError for an unknown stage.

    People are told by `messengers`, or by those that the settings name.
    """
    check_stages(settings, service.config_path)
    limiter = PatientLimiter(_limiter(settings.plane), clock)
    tracker = PlaneTracker(settings.plane.url, settings.plane.workspace, _key(settings.plane), limiter=limiter)
    service.resources.push_async_callback(tracker.close)
    forge = GiteaForge(settings.gitea.url, settings.gitea.token.reveal())
    service.resources.push_async_callback(forge.close)
    notes = Bucket(bus, RECONCILER)
    messengers = _messengers(service, settings) if messengers is None else messengers
    behind, threshold = EventsBehind(bus, clock), settings.reconciler.loss_alert
    senders = Senders(behind, notes, messengers, threshold, lambda: _tells_ci(forge))
    return World(
        projects=settings.project,
        tracker=tracker,
        forge=forge,
        events=EventLog(bus),
        tasks=TaskStore(bus),
        notes=notes,
        clock=clock,
        own_user_id=settings.plane.bot_user_id,
        own_login=settings.gitea.bot_login,
        messengers=messengers,
        runners=Bucket(bus, RUNNERS).keys,
        watch=Watch(senders, _door(settings, forge), settings.reconciler.hooks_every_s, clock),
        calls=lambda: limiter.calls,
    )


def _key(plane: PlaneSettings) -> str:
    return (plane.polling_api_key or plane.api_key).reveal()


def _limiter(plane: PlaneSettings) -> Limiter:
    """Return the limiter of a key of our own, or one that leaves its key's other users their share."""
    limiter = shared_limiter(plane.url, _key(plane))
    return limiter if plane.polling_api_key else limiter.leaving(plane.reserve_per_minute)


async def _tells_ci(forge: GiteaForge) -> bool:
    return (await forge.product()).tells_ci


def _door(settings: Settings, forge: GiteaForge) -> Door | None:
    """Return where the forge's webhooks should lead; None while that is not configured."""
    public, secrets = settings.gateway.public_url.rstrip("/"), settings.gitea.webhook_secrets
    if not public or not secrets:
        return None
    repositories = tuple(dict.fromkeys(project.repository for project in settings.project))
    return Door(hooks=forge, repositories=repositories, url=f"{public}/webhook/gitea", secret=secrets[0].reveal())


class EventsBehind:
    """The log of events, read on from where one stopped."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock

    async def behind(self, seq: int) -> AsyncIterator[tuple[int, AnyEvent]]:
        """Yield what was stored behind a sequence, in order; behind 0, what the last day brought."""
        start = seq + 1 if seq else self._clock.now() - timedelta(days=1)
        async for message in scan(self._bus, EVENTS.name, ("event.>",), start=start):
            try:
                yield message.seq, decode_event(message.body)
            except MessageError:
                continue  # the engine buries it; it is nobody's loss


def _messengers(service: Service, settings: Settings) -> tuple[Messenger, ...]:
    notify, found = settings.notify, list[Telegram | WebhookOut]()
    if notify.telegram_token:
        found.append(Telegram(notify.telegram_token.reveal(), notify.telegram_chat_id))
    if notify.webhook_url:
        found.append(WebhookOut(notify.webhook_url.reveal(), notify.webhook_template))
    for target in found:
        service.resources.push_async_callback(target.close)
    link = f"{settings.plane.url.rstrip('/')}/{settings.plane.workspace}"
    return tuple(Chat(target, link) for target in found)


def check_stages(settings: Settings, where: Path | None) -> None:
    """Refuse a grace for a stage that no pipeline has: it is misspelt, and would hold for nothing (RC-8)."""
    known = {stage.name for one in pipelines_of(settings.pipelines, where).values() for stage in one.stages}
    for name in settings.reconciler.stage_grace_s:
        if name not in known:
            raise SettingsError(
                f"reconciler.stage_grace_s.{name}: no pipeline has this stage; known: {', '.join(sorted(known))}"
            )


async def run(service: Service, settings: ReconcilerSettings, bus: Bus, world: World) -> None:
    """Serve health and the last pass, and make passes while this process leads."""
    metrics, health = Metrics("reconciler"), Health()
    health.check("bus", lambda: ready(bus))
    pages = [*routes(health, metrics), queue_page(world.notes, enabled=settings.enabled)]
    server = HttpServer(Starlette(routes=pages), settings.http)
    await server.start()
    service.resources.push_async_callback(server.stop)
    service.resources.push_async_callback(await register(bus, "reconciler", version("conveyor-reconciler")))
    service.spawn("bus", bus.watch(service.stopping))
    if not settings.enabled:
        logs.get("reconciler").warning("switched off: lost webhooks stay lost")
        return
    sweeps = Sweeps(lambda: Reconciler(world, settings), Figures(metrics), settings.interval_s, service.stopping)
    lease = Lease(Bucket(bus, LEASES), LEASE, uuid.uuid4().hex, settings.lease_s)
    service.spawn("sweeps", leader(lease, sweeps.lead, stopping=service.stopping))


def tell(report: Report) -> None:
    """Print what one pass found, an event a line."""
    for event in report.found:
        sys.stdout.write(f"{event.at.isoformat()}  {event.key}  {subjects.kind(type(event))}\n")
    sys.stdout.write(f"{len(report.found)} missing, {report.looked} looked at, {report.failed} failed\n")
