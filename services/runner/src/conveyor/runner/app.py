"""The composition root: adapters, git, bus and the loops of one runner process."""

import asyncio
import base64
import fcntl
import os
import shutil
import socket
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from conveyor.adapters.agents import FORMATS, call_in, parser_for
from conveyor.adapters.gitea import GiteaForge
from conveyor.adapters.plane import PlaneTracker
from conveyor.contracts import streams, subjects
from conveyor.contracts.commands import Priority, StartRun
from conveyor.contracts.errors import SettingsError
from conveyor.runner.alarm import Alarm
from conveyor.runner.assignment import Means
from conveyor.runner.breakers import Breakers
from conveyor.runner.caps import Caps
from conveyor.runner.claims import Claims
from conveyor.runner.core.plan import inherited
from conveyor.runner.disk import Disk
from conveyor.runner.farewell import Farewell
from conveyor.runner.handlers import Desk, Figures, Known, RunHandler
from conveyor.runner.hooks import Hooks
from conveyor.runner.live import LiveRuns
from conveyor.runner.preflight import Preflight
from conveyor.runner.presence import Announcer, Here
from conveyor.runner.process import Stop, conceal
from conveyor.runner.sandbox import Ability, Hideout, Sandbox, look
from conveyor.runner.sessions import Sessions
from conveyor.runner.settings import Settings, check, with_presets
from conveyor.runner.spend import Spend
from conveyor.runner.standby import Standby
from conveyor.runner.tidy import Ground, Tidy
from conveyor.runner.workspace import Git, Workspaces
from conveyor.servicekit.bus import (
    Bucket,
    Bus,
    CommandQueue,
    ConsumerSpec,
    EventLog,
    TaskStore,
    connect,
    consume_by_priority,
    follow,
    provision,
    ready,
    register,
    wire,
)
from conveyor.servicekit.clock import SYSTEM_CLOCK
from conveyor.servicekit.health import Health, health_server
from conveyor.servicekit.lifecycle import Service
from conveyor.servicekit.metrics import Metrics
from conveyor.servicekit.secret import secrets_in

VERSION = "0.1.0"
SESSION_DAYS = 90
"""How long a session that nobody went on with can be resumed."""
_PRIORITIES = (Priority.HIGH, Priority.NORMAL, Priority.LOW)


async def start(service: Service, settings: Settings) -> None:
    """Connect, clear up after an earlier life, and take runs until the service stops."""
    check(settings)
    settings = with_presets(settings)
    for name, agent in settings.agents.items():
        if agent.output not in FORMATS:
            raise SettingsError(f"agents.{name}.output: {agent.output!r} is not one of {', '.join(sorted(FORMATS))}")
    root = _root(service, settings)
    bus = await connect(settings.nats, name="runner")
    service.resources.push_async_callback(bus.close)
    service.spawn("bus", bus.watch(service.stopping))
    await provision(bus, settings.nats.replicas)
    conceal()
    ability = await look(os.environ.get("PATH", os.defpath))  # noqa: TID251 - where bubblewrap is looked for
    if ability.cgroups is not None:
        service.resources.callback(ability.cgroups.close)
    await _Runner(service, settings, bus, root, ability).start()


class _Runner:
    """The runner's parts, put together once."""

    def __init__(self, service: Service, settings: Settings, bus: Bus, root: Path, ability: Ability) -> None:
        self._service, self._settings, self._bus = service, settings, bus
        environment = dict(os.environ)  # noqa: TID251 - agents get an allow-list cut from it; nothing else reads it
        self._environment = environment
        self._metrics = Metrics("runner")
        self._preflight = Preflight(settings.agents, environment, SYSTEM_CLOCK)
        host = socket.gethostname()
        self._here = Here(
            runner_id=settings.runner.name or f"{host}-{os.getpid()}",
            host=host,
            pools=settings.runner.pools,
            slots=settings.runner.slots,
        )
        self._breakers = Breakers(Bucket(bus, streams.BREAKERS), SYSTEM_CLOCK)
        self._hooks = Hooks(settings.runner.hooks)
        self._sessions = Sessions(root)
        self._disk = Disk(root, settings.runner.min_free_mb)
        desk = Desk(
            bus=bus,
            events=EventLog(bus),
            tasks=TaskStore(bus),
            claims=Claims(Bucket(bus, streams.RUNS), self._here.runner_id),
            live=LiveRuns(root),
            breakers=self._breakers,
            caps=Caps(Bucket(bus, streams.LEASES), settings.runner.caps, self._here.runner_id),
            alert=Alarm(CommandQueue(bus), SYSTEM_CLOCK),
            clock=SYSTEM_CLOCK,
            figures=Figures(self._metrics),
        )
        projects = {project.name: project for project in settings.project}
        self._tasks = desk.tasks
        means = self._means(root, environment, ability)
        self._workspaces = means.workspaces
        self._handler = RunHandler(desk, means, Known(projects=projects, agents=settings.agents), self._preflight)

    async def start(self) -> None:
        """Start the loops."""
        await self._preflight.look()
        await self._serve_health()
        await self._handler.recover()
        self._sessions.prune(SESSION_DAYS * 86_400, SYSTEM_CLOCK.now().timestamp())
        announcer = Announcer(
            Bucket(self._bus, streams.RUNNERS), self._here, self._handler, self._preflight, SYSTEM_CLOCK
        )

        async def status(_question: bytes) -> bytes:
            return announcer.entry(is_stopping=self._service.stopping.is_set())

        self._service.resources.push_async_callback(await register(self._bus, "runner", VERSION, {"status": status}))
        stopping = self._service.stopping
        self._service.spawn("presence", announcer.run(self._settings.runner.heartbeat_s, stopping))
        self._service.spawn("drain", self._drain())
        self._service.spawn("tidy", self._tidy().run(stopping))
        if self._settings.runner.spare_worktrees:
            self._service.spawn("standby", Standby(self._workspaces, self._handler.idle, self._disk).run(stopping))
        self._service.spawn(
            "runs",
            consume_by_priority(self._bus, self._queues(), self._handler, slots=self._slots, stopping=stopping),
        )

    def _tidy(self) -> Tidy:
        async def changes() -> AsyncGenerator[str, None]:
            async for message in follow(self._bus, streams.TASKS.name, ("task.>",)):
                yield message.subject

        tidy = Tidy(
            Ground(
                workspaces=self._workspaces,
                tasks=self._tasks,
                clock=SYSTEM_CLOCK,
                is_busy=self._handler.is_busy,
                disk=self._disk,
                changes=changes,
                before_remove=Farewell(self._hooks, self._workspaces, inherited(self._environment)),
            )
        )
        self._handler.on_end = tidy.wake
        return tidy

    def _slots(self) -> int:
        return self._settings.runner.slots if self._preflight.can_work and not self._disk.is_full else 0

    def _queues(self) -> list[ConsumerSpec]:
        runner = self._settings.runner
        return [
            ConsumerSpec(
                stream=streams.COMMANDS.name,
                durable=f"runner-{pool}-{priority}",
                subjects=(subjects.runs_of(pool, priority),),
                ack_wait_s=runner.ack_wait_s,
            )
            for priority in _PRIORITIES
            for pool in runner.pools
        ]

    async def _drain(self) -> None:
        """Once stopping: let runs go on for a while, then stop them; their outcomes are still reported (RU-11)."""
        await self._service.stopping.wait()
        try:
            async with asyncio.timeout(self._settings.runner.drain_s):
                await self._handler.idle.wait()
        except TimeoutError:
            self._handler.stop_all(Stop.SHUTDOWN)

    async def _serve_health(self) -> None:
        health = Health()
        health.check("bus", lambda: ready(self._bus))
        health.check("agents", self._agents_check)
        health.check("disk", lambda: self._disk.problem or None)
        server = health_server(health, self._metrics, self._settings.runner.http)
        await server.start()
        self._service.resources.push_async_callback(server.stop)

    def _agents_check(self) -> str | None:
        problems = [f"{name}: {why}" for name, why in self._preflight.problems.items() if why]
        return "; ".join(problems) or None

    def _means(self, root: Path, environment: Mapping[str, str], ability: Ability) -> Means:
        settings = self._settings
        author = (settings.runner.author_name, settings.runner.author_email)
        gitea, plane = settings.gitea, settings.plane
        forge = GiteaForge(gitea.url, gitea.token.reveal())
        self._service.resources.push_async_callback(forge.close)
        tracker = PlaneTracker(plane.url, plane.workspace, plane.api_key.reveal()) if plane.url else None
        if tracker is not None:
            self._service.resources.push_async_callback(tracker.close)
        lookup = Bucket(self._bus, streams.LOOKUP)

        async def remember(sha: str, command: StartRun) -> None:
            await lookup.put(f"commit.{sha}", f"{command.project}/{command.key}".encode())

        git = Git(
            search_path=environment.get("PATH", os.defpath),
            author=author,
            authorization=_authorization(gitea.user, gitea.token.reveal()),
        )
        return Means(
            workspaces=Workspaces(root, git),
            sandbox=self._sandbox(ability, git, root),
            hooks=self._hooks,
            call_in=call_in,
            spend=Spend(Bucket(self._bus, streams.SPEND)),
            sessions=self._sessions,
            forge=forge,
            tracker=tracker,
            parser_for=parser_for,
            sink=LogStream(self._bus),
            clock=SYSTEM_CLOCK,
            root=root,
            environment=environment,
            author=author,
            secrets=frozenset(secrets_in(settings)),
            clone_url=lambda repository: f"{gitea.url.rstrip('/')}/{repository}.git",
            remember=remember,
        )

    def _sandbox(self, ability: Ability, git: Git, root: Path) -> Sandbox:
        config = self._service.config_path
        hidden = (str(config.resolve()),) if config else ()
        shutil.rmtree(root / "rooms", ignore_errors=True)  # of runs that our earlier life did not end
        sandbox = Sandbox(self._settings.runner.sandbox, ability, git, Hideout(root=root, hidden=hidden))
        sandbox.announce()
        return sandbox


class LogStream:
    """The LOGS stream as a place for chunks."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def append(self, subject: str, chunk: bytes) -> None:
        """Store one chunk."""
        _, project, key, run_id = subject.split(".", 3)
        await wire.publish(self._bus, subject, chunk, {"Conveyor-Task": f"{project}/{key}", "Conveyor-Run": run_id})


def _authorization(user: str, token: str) -> str:
    """Return git's header for the forge: Gitea takes a token as password, or as name beside this password."""
    if not token:
        return ""
    pair = f"{user}:{token}" if user else f"{token}:x-oauth-basic"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _root(service: Service, settings: Settings) -> Path:
    """Return the runner's root, ours alone while the process lives: another runner would sweep our runs away."""
    folder = service.config_path.parent if service.config_path else Path()
    root = (folder / settings.runner.root).resolve()
    root.mkdir(parents=True, exist_ok=True)
    root.chmod(0o700)  # an agent may leave programs there that run as we do
    lock = (root / "lock").open("w")
    service.resources.callback(lock.close)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise SettingsError(f"runner.root: {root} is in use by another runner; give each a root of its own") from error
    return root
