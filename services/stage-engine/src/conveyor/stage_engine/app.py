"""The composition root: adapters, bus and the loops this process runs."""

from importlib.metadata import version

import msgspec

from conveyor.adapters.gitea import GiteaForge
from conveyor.adapters.health_probe import HealthProbe
from conveyor.adapters.plane import PlaneTracker
from conveyor.adapters.telegram import Telegram
from conveyor.adapters.webhook_out import WebhookOut
from conveyor.contracts import streams, subjects
from conveyor.contracts.commands import (
    AnyCommand,
    CancelRun,
    CheckDependencies,
    CheckHealth,
    DeleteBranch,
    EnsureBranch,
    Merge,
    Notify,
    PostComment,
    ReleaseDependents,
    SetStatus,
)
from conveyor.servicekit import logs
from conveyor.servicekit.bus import (
    Bucket,
    Bus,
    CommandQueue,
    ConsumerSpec,
    Delivery,
    EventLog,
    Handler,
    InOrder,
    Lane,
    Lease,
    TaskStore,
    connect,
    consume,
    provision,
    ready,
    register,
)
from conveyor.servicekit.clock import SYSTEM_CLOCK
from conveyor.servicekit.health import Health, health_server
from conveyor.servicekit.lifecycle import Service
from conveyor.servicekit.metrics import Metrics
from conveyor.servicekit.sections import NotifySettings, pipelines_of
from conveyor.stage_engine.effects import lanes
from conveyor.stage_engine.effects.dependencies import DependencyEffects, RunEffects
from conveyor.stage_engine.effects.forge import BranchEffects
from conveyor.stage_engine.effects.merging import MergeEffect, Yard
from conveyor.stage_engine.effects.ownership import lease_name, under_lease
from conveyor.stage_engine.effects.people import HealthEffect, NotifyEffect, Watching
from conveyor.stage_engine.effects.tracker import TrackerEffects
from conveyor.stage_engine.effects.worker import Effect, EffectWorker
from conveyor.stage_engine.gates.context import Ground
from conveyor.stage_engine.gates.worker import GateWorker
from conveyor.stage_engine.handlers import Doorbell
from conveyor.stage_engine.look import Look
from conveyor.stage_engine.ports import Messenger
from conveyor.stage_engine.projects import Projects
from conveyor.stage_engine.relay import Relay
from conveyor.stage_engine.retention import Retention
from conveyor.stage_engine.settings import Settings, check_engine

VERSION = version("conveyor-stage-engine")
WAITING_AT_ONCE = 256
"""How many merges, monitors and notifications may be in hand: all they do is wait, for their turn or an answer."""
log = logs.get("app")


async def start(service: Service, settings: Settings) -> None:
    """Connect, make sure that the streams are there, and run the loops until the service stops."""
    check_engine(settings)
    bus = await connect(settings.nats, name="stage-engine")
    service.resources.push_async_callback(bus.close)
    service.spawn("bus", bus.watch(service.stopping))
    await provision(bus, settings.nats.replicas)
    health, metrics = Health(), Metrics("engine")
    health.check("bus", lambda: ready(bus))
    server = health_server(health, metrics, settings.engine.http)
    await server.start()
    service.resources.push_async_callback(server.stop)
    engine = Engine(service, settings, bus, metrics)
    for loop in settings.engine.loops:
        engine.run(loop)
    service.resources.push_async_callback(await register(bus, "stage-engine", VERSION, {"status": engine.status}))
    log.info("answers", url=server.url)


class Engine:
    """The engine's parts, put together once."""

    def __init__(self, service: Service, settings: Settings, bus: Bus, metrics: Metrics) -> None:
        self._service, self._settings, self._bus, self._metrics = service, settings, bus, metrics
        self._projects = Projects(settings.project, pipelines_of(settings.pipelines, service.config_path))
        plane, gitea = settings.plane, settings.gitea
        self._tracker = PlaneTracker(plane.url, plane.workspace, plane.api_key.reveal())
        self._forge = GiteaForge(gitea.url, gitea.token.reveal())
        self._probe = HealthProbe()
        for closing in (self._tracker, self._forge, self._probe):
            service.resources.push_async_callback(closing.close)
        self._events, self._tasks = EventLog(bus), TaskStore(bus)

    async def status(self, _question: bytes) -> bytes:
        """Answer `status` on the bus: which loops run here."""
        return msgspec.json.encode({"loops": self._settings.engine.loops, "tasks": self._service.task_names})

    def run(self, loop: str) -> None:
        """Start one of the four loops."""
        engine = self._settings.engine
        match loop:
            case "decide":
                look = Look(self._projects, self._tracker, self._forge)
                doorbell = Doorbell((self._events, self._tasks), self._projects, look, self._metrics)
                spec = self._spec(streams.EVENTS, "decide", "event.>")
                self._consume(spec, doorbell, engine.tasks_at_once, _task_lane)
                retention = Retention(self._bus, SYSTEM_CLOCK, spec.durable, engine.keep_ended_days)
                self._service.spawn("retention", retention.run(self._service.stopping))
            case "relay":
                relay = Relay(CommandQueue(self._bus), Bucket(self._bus, streams.LOOKUP))
                spec = self._spec(streams.TASKS, "relay", "task.>")
                in_order = InOrder(self._bus, spec, lambda delivery: delivery.subject, relay)
                self._consume(spec, in_order, engine.tasks_at_once, _task_lane)
            case "gates":
                ground = Ground(self._forge, self._probe, SYSTEM_CLOCK, engine.mergeable_deadline_s)
                gates = GateWorker(self._events, self._tasks, self._projects, ground)
                spec = self._spec(streams.COMMANDS, "gates", subjects.gates())
                self._consume(spec, gates, engine.gates_at_once, lanes.of_command)
            case _:
                for target, effects in self._effects().items():
                    self._run_effects(target, effects)

    def _run_effects(self, target: str, effects: dict[type, Effect]) -> None:
        handler: Handler = EffectWorker(self._events, self._tasks, SYSTEM_CLOCK, effects)
        spec = self._spec(streams.COMMANDS, target, subjects.effects_on(target))
        at_once, lane = self._settings.engine.effects_at_once, lanes.of_task
        merges = lanes.MergeLanes(self._projects)
        match target:
            case "tracker":  # what people read keeps its order; the others look at the task as it is now
                handler = InOrder(self._bus, spec, lanes.of_task, handler)
            case "merge":
                handler = InOrder(self._bus, spec, merges.beside, handler)
                at_once, lane = WAITING_AT_ONCE, merges.lane
            case "notify" | "health":
                at_once, lane = WAITING_AT_ONCE, lanes.of_command
            case _:
                pass
        self._consume(spec, handler, at_once, lane)

    def _spec(self, stream: streams.StreamSpec, loop: str, subject: str) -> ConsumerSpec:
        ack_wait_s = self._settings.engine.ack_wait_s
        return ConsumerSpec(stream=stream.name, durable=f"engine-{loop}", subjects=(subject,), ack_wait_s=ack_wait_s)

    def _consume(self, spec: ConsumerSpec, handler: Handler, at_once: int, lane: Lane) -> None:
        loop = consume(self._bus, spec, handler, concurrency=at_once, lane=lane, stopping=self._service.stopping)
        self._service.spawn(spec.durable, loop)

    def _effects(self) -> dict[str, dict[type, Effect]]:
        settings, projects = self._settings, self._projects
        tracker = TrackerEffects(projects, self._tracker, self._tasks)
        branches = BranchEffects(projects, self._forge)
        progress, stopping = Bucket(self._bus, streams.EFFECTS), self._service.stopping
        merge = MergeEffect(
            projects,
            Yard(self._forge, SYSTEM_CLOCK, settings.engine, self._events, self._tasks, progress, stopping),
        )
        link = f"{settings.plane.url}/{settings.plane.workspace}"
        people = NotifyEffect(self._messengers(settings.notify), link, progress)
        watch = HealthEffect(projects, Watching(self._probe, SYSTEM_CLOCK, settings.engine, stopping))
        dependencies = DependencyEffects(self._events, self._tasks, projects, self._tracker, SYSTEM_CLOCK)
        return {
            "tracker": {SetStatus: tracker.set_status, PostComment: tracker.post_comment},
            "forge": {EnsureBranch: branches.ensure, DeleteBranch: self._owned(branches.delete)},
            "merge": {Merge: self._owned(merge.merge)},
            "notify": {Notify: people.notify},
            "health": {CheckHealth: watch.watch},
            "tasks": {CheckDependencies: dependencies.check, ReleaseDependents: dependencies.release},
            "runs": {CancelRun: RunEffects(self._bus).cancel},
        }

    def _messengers(self, settings: NotifySettings) -> dict[str, Messenger]:
        found: dict[str, Telegram | WebhookOut] = {}
        if settings.telegram_token:
            found["telegram"] = Telegram(settings.telegram_token.reveal(), settings.telegram_chat_id)
        if settings.webhook_url:
            found["webhook"] = WebhookOut(settings.webhook_url.reveal(), settings.webhook_template)
        for messenger in found.values():
            self._service.resources.push_async_callback(messenger.close)
        return dict(found)

    def _owned(self, effect: Effect) -> Effect:
        bucket = Bucket(self._bus, streams.LEASES)

        def lease_of(command: AnyCommand) -> Lease:
            name = lease_name(self._projects.project(command.project).repository)
            return Lease(bucket, name, owner=self._bus.new_inbox(), ttl_s=self._settings.engine.lease_ttl_s)

        return under_lease(effect, lease_of)


def _task_lane(delivery: Delivery) -> str:
    return "/".join(subjects.address_of(delivery.subject))
