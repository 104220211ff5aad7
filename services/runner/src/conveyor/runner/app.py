"""The composition root: adapters, git, bus and the loops of one runner process."""

import asyncio
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
from conveyor.runner.accounts import Accounts
from conveyor.runner.alarm import Alarm
from conveyor.runner.assignment import Means
from conveyor.runner.books import Books, Shelf
from conveyor.runner.breakers import Breakers
from conveyor.runner.caps import Caps
from conveyor.runner.claims import Claims
from conveyor.runner.core.plan import inherited
from conveyor.runner.disk import Disk
from conveyor.runner.farewell import Farewell
from conveyor.runner.handlers import Desk, Known, RunHandler
from conveyor.runner.home import take_root
from conveyor.runner.hooks import Hooks
from conveyor.runner.live import LiveRuns
from conveyor.runner.log_stream import LogStream
from conveyor.runner.preflight import Preflight
from conveyor.runner.presence import Announcer, Here
from conveyor.runner.process import Stop, conceal
from conveyor.runner.sandbox import Ability, Hideout, Sandbox, look
from conveyor.runner.sessions import Sessions
from conveyor.runner.settings import Settings, check, with_presets
from conveyor.runner.spend import Spend
from conveyor.runner.standby import Standby
from conveyor.runner.tidy import Ground, Tidy
from conveyor.runner.workspace import Git, Workspaces, authorization
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
    root = take_root(service, settings.runner.root)
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
        self._hooks = Hooks(settings.runner.hooks)
        self._sessions = Sessions(root)
        self._disk = Disk(root, settings.runner.min_free_mb)
        self._tasks = TaskStore(bus)
        means = self._means(root, environment, ability)
        self._workspaces = means.workspaces
        self._handler = RunHandler(self._desk(root), means, self._known())

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

    def _known(self) -> Known:
        return Known(
            projects={project.name: project for project in self._settings.project}, agents=self._settings.agents
        )

    def _desk(self, root: Path) -> Desk:
        bus, name, settings = self._bus, self._here.runner_id, self._settings
        shelf = Shelf(
            claims=Claims(Bucket(bus, streams.RUNS), name),
            live=LiveRuns(root),
            events=EventLog(bus),
            clock=SYSTEM_CLOCK,
            metrics=self._metrics,
        )
        breakers = Breakers(Bucket(bus, streams.BREAKERS), SYSTEM_CLOCK)
        return Desk(
            bus=bus,
            tasks=self._tasks,
            books=Books(shelf),
            accounts=Accounts(breakers, settings.agents, Alarm(CommandQueue(bus), SYSTEM_CLOCK)),
            caps=Caps(Bucket(bus, streams.LEASES), settings.runner.caps, name),
            preflight=self._preflight,
            stopping=self._service.stopping,
            show_load=self._metrics.gauge("busy", "Runs in hand").set,
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
            authorization=authorization(gitea.user, gitea.token.reveal()),
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
