"""What every command shares: where the configuration is, a connection to the bus, and how errors become exit codes."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import typer
from msgspec import structs

from conveyor.cli.exits import Exit, StopError
from conveyor.cli.outside import Outside
from conveyor.cli.settings import DEFAULT_CONFIG, CliSettings, settings_at
from conveyor.contracts.errors import ConveyorError, PermanentError, SettingsError, TransientError
from conveyor.contracts.pipeline import Pipeline
from conveyor.contracts.project import Project
from conveyor.servicekit import logs
from conveyor.servicekit.bus import ApiError, Bus, StoredTask, TaskStore, connect
from conveyor.servicekit.sections import LogSettings, NatsSettings, pipelines_of

CONNECT_S = 5.0
"""How long a command looks for the bus before it gives up."""
STREAM_NOT_FOUND = 10059


class Session:
    """The global options, and what follows from them."""

    def __init__(self, outside: Outside, config: Path = DEFAULT_CONFIG, nats_url: str = "") -> None:
        self.outside = outside
        self.config = config
        self._nats_url = nats_url
        self._settings: CliSettings | None = None

    @property
    def settings(self) -> CliSettings:
        """The settings, read once; SettingsError says what is wrong with them."""
        if self._settings is None:
            found = settings_at(self.config)
            if self._nats_url:
                found = structs.replace(found, nats=structs.replace(found.nats, url=self._nats_url))
            self._settings = found
        return self._settings

    @property
    def nats(self) -> NatsSettings:
        """How to reach the bus."""
        return self.settings.nats

    def project_of(self, key: str) -> Project | None:
        """Return the configured project whose issues have keys like this one; None when none is configured."""
        identifier = key.rpartition("-")[0]
        return next((project for project in self.settings.project if project.identifier == identifier), None)

    def repository_of(self, project_name: str) -> str:
        """Return the repository of a project; its own name when it is not configured here."""
        return next((one.repository for one in self.settings.project if one.name == project_name), project_name)

    def pipeline_of(self, project_name: str) -> Pipeline:
        """Return the pipeline of a project; the default one when the project is not configured here."""
        known = pipelines_of(self.settings.pipelines, self.config)
        project = next((project for project in self.settings.project if project.name == project_name), None)
        return known.get(project.pipeline if project else "default") or known["default"]

    @asynccontextmanager
    async def bus(self) -> AsyncIterator[Bus]:
        """Yield a connection; StopError with NO_BUS when no server answers."""
        settings = self.nats
        try:
            bus = await connect(settings, name="cli", wait_s=CONNECT_S)
        except (TransientError, PermanentError) as error:
            hint = "is `conveyor up` running? --nats or [nats] url says where"
            raise StopError(f"{error}: {hint}", Exit.NO_BUS) from error
        try:
            yield bus
        finally:
            await bus.close()

    async def task(self, bus: Bus, key: str) -> StoredTask:
        """Return the task of this key as it is now; StopError with NO_TASK when there is none."""
        store, project = TaskStore(bus), self.project_of(key)
        if project is not None:
            found = await store.load(project.name, key)
        else:
            found = next((stored for stored in await store.all() if stored.record.task.key == key), None)
        if found is None:
            raise StopError(f"there is no task {key}; `conveyor status --all` lists those there are", Exit.NO_TASK)
        return found


_current: ContextVar[Session] = ContextVar("conveyor_session")


def begin(session: Session) -> None:
    """Make this the session of the command that is about to run."""
    _current.set(session)


def current() -> Session:
    """Return the session of the running command."""
    return _current.get()


def run(work: Coroutine[Any, Any, Exit | None], *, is_endless: bool = False) -> None:
    """Run a command to its end and exit: what an operator got wrong is one sentence, never a traceback.

    Ctrl-C is how an endless one is meant to end; of any other nobody knows how far it got.
    """
    logs.configure(LogSettings(format="pretty", level="error"), "cli")
    try:
        code = asyncio.run(work) or Exit.OK
    except (StopError, ConveyorError) as error:
        typer.echo(f"conveyor: {error}", err=True)
        code = code_of(error)
    except KeyboardInterrupt:
        code = Exit.OK if is_endless else Exit.INTERRUPTED
    raise typer.Exit(code)


def code_of(error: Exception) -> Exit:
    """Return the exit code an error stands for."""
    match error:
        case StopError():
            return error.code
        case SettingsError():
            return Exit.USAGE
        case ApiError():
            return Exit.NO_BUS if error.code == STREAM_NOT_FOUND else Exit.FAILED
        case TransientError():
            return Exit.NO_BUS
        case _:
            return Exit.FAILED
