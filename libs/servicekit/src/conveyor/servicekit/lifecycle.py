"""A service's life: started, watched over, drained on SIGTERM. Every `__main__` and `app` stands on it."""

import argparse
import asyncio
import gc
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import uvloop

from conveyor.contracts.errors import SettingsError
from conveyor.servicekit import logs
from conveyor.servicekit.secret import secrets_in
from conveyor.servicekit.sections import LogSettings
from conveyor.servicekit.settings import load

S = TypeVar("S", bound=msgspec.Struct)

EXIT_USAGE = 2
"""The exit code of a service that was configured wrongly; restarting cannot help."""
GRACE_S = 20.0
"""How long a service may drain unless it says otherwise."""
ABORT_S = 6.0
"""How long cancelled tasks may take to clean up before they are cancelled once more, and given up soon after.

A second more than the consume loop takes to give back what it had in hand.
"""
LAST_CALL_S = 1.0
CLOSE_S = 15.0
"""How long closing what was opened may take before the process goes without it."""
GARBAGE_AFTER = (20_000, 50, 50)
"""When Python looks for garbage in circles; by default after 700 new objects, a tenth of the gateway's time."""


class Service:
    """One running service: its named tasks, the event that tells them to stop, and what to close at the end.

    `spawn` what must run, let loops watch `stopping`, push what must be closed onto `resources`.
    """

    def __init__(self, name: str, *, grace_s: float = GRACE_S, config_path: Path | None = None) -> None:
        self.name = name
        self.config_path = config_path
        self.stopping = asyncio.Event()
        """Set once, when the service is to take no more work."""
        self.resources = AsyncExitStack()
        """Closed in reverse order after every task has ended."""
        self._grace_s = grace_s
        self._tasks: set[asyncio.Task[Any]] = set()
        self._has_failed = False
        self._log = logs.get("lifecycle")

    @property
    def task_names(self) -> tuple[str, ...]:
        """The names of the tasks that run now."""
        return tuple(sorted(task.get_name() for task in self._tasks))

    def spawn(self, name: str, work: Coroutine[Any, Any, Any], *, may_end: bool = False) -> asyncio.Task[Any]:
        """Run `work` beside the rest. Its error stops the service with exit code 1, and so does its end before
        `stopping` is set, unless it `may_end`.
        """
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(done, may_end=may_end))
        return task

    def stop(self, why: str) -> None:
        """Begin to drain; calling it again changes nothing."""
        if not self.stopping.is_set():
            self._log.info("stopping", why=why, tasks=self.task_names)
            self.stopping.set()

    async def run(self, main: Callable[["Service"], Awaitable[None]], *, handle_signals: bool = True) -> int:
        """Call `main`, which starts everything and returns; then live until stopped, drain, close; return an exit code.

        SIGTERM and SIGINT drain within the grace, a second one aborts. SettingsError from `main` gives exit code 2.
        What does not end when cancelled or closed is left behind: `task_names` tells.
        """
        if handle_signals:
            self._listen()
        code = 0
        try:
            code = await self._start(main)
            if code == 0:
                await self._live()
            await self._drain()
        finally:
            await self._close()
        return 1 if self._has_failed and code == 0 else code

    async def _start(self, main: Callable[["Service"], Awaitable[None]]) -> int:
        start = asyncio.ensure_future(_as_coroutine(main(self)))
        stop = asyncio.ensure_future(self.stopping.wait())
        await asyncio.wait({start, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not start.done():  # told to stop before it was up
            start.cancel()
            await asyncio.wait({start}, timeout=ABORT_S)
            if not start.done():
                self._tasks.add(start)
            return 0
        error = start.exception()
        if error is None:
            self._log.info("started", tasks=self.task_names)
            return 0
        self.stopping.set()
        if isinstance(error, SettingsError):
            self._log.error("cannot start", reason=str(error))
            return EXIT_USAGE
        self._log.error("cannot start", exc_info=error)
        return 1

    async def _live(self) -> None:
        if self._tasks:
            await self.stopping.wait()
        self.stopping.set()

    async def _drain(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._grace_s)
        if self._tasks:
            self._log.warning("grace is over, aborting", tasks=self.task_names, grace_s=self._grace_s)
        for wait_s in (ABORT_S, LAST_CALL_S):
            if self._tasks:
                for task in self._tasks:
                    task.cancel()
                await asyncio.wait(self._tasks, timeout=wait_s)
        if self._tasks:
            self._log.error("tasks do not end, going without them", tasks=self.task_names)

    async def _close(self) -> None:
        closing = asyncio.create_task(self.resources.aclose(), name="closing")
        await asyncio.wait({closing}, timeout=CLOSE_S)
        if not closing.done():
            self._tasks.add(closing)
            self._fail("closing does not end", after_s=CLOSE_S)
        elif error := closing.exception():
            self._fail("closing failed", exc_info=error)

    def _fail(self, what: str, **more: Any) -> None:
        self._has_failed = True
        self._log.error(what, **more)

    def _ended(self, task: asyncio.Task[Any], *, may_end: bool) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is None and may_end:
            return
        if error is not None or not self.stopping.is_set():
            self._fail("task died", task=task.get_name(), reason=str(error or "it ended early"), exc_info=error)
            self.stop(f"task {task.get_name()} died")

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)
            self.resources.callback(loop.remove_signal_handler, number)

    def _signalled(self, number: signal.Signals) -> None:
        if self.stopping.is_set():
            self._log.warning("second signal, aborting", signal=number.name)
            for task in self._tasks:
                task.cancel()
        self.stop(number.name)


async def _as_coroutine(awaitable: Awaitable[None]) -> None:
    await awaitable


def service_main(
    name: str,
    kind: type[S],
    start: Callable[[Service, S], Awaitable[None]],
    arguments: list[str] | None = None,
    *,
    grace_s: Callable[[S], float] = lambda _settings: GRACE_S,
) -> None:
    """Be a service's `main`: read `--config PATH`, load its settings, run `start(service, settings)`, exit.

    `grace_s` says by the settings how many seconds it may drain.
    """
    parser = argparse.ArgumentParser(prog=f"conveyor-{name}", description=f"Conveyor's {name} service.")
    parser.add_argument("--config", type=Path, default=None, help="the configuration file (TOML)")
    path: Path | None = parser.parse_args(arguments).config
    try:
        settings = load(kind, path)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(EXIT_USAGE)
    logs.configure(getattr(settings, "log", LogSettings()), name, tuple(secrets_in(settings)))

    async def run() -> int:
        service = Service(name, grace_s=grace_s(settings), config_path=path)

        async def begin(started: Service) -> None:
            await start(started, settings)
            _keep_what_is_there()

        code = await service.run(begin)
        if service.task_names:
            _leave(code)
        return code

    sys.exit(uvloop.run(run()))


def _leave(code: int) -> None:
    """End the process though tasks remain: the loop would wait for them for ever, and nobody could start it anew."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _keep_what_is_there() -> None:
    """Spare the garbage collector the modules and all else that lives as long as the process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_AFTER)
