"""What every benchmark stands on: a folder on this disk, a real nats-server that syncs, child processes that end."""

import asyncio
import contextlib
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from conveyor.servicekit.bus import Bus, connect, provision
from conveyor.servicekit.clock import SYSTEM_CLOCK
from conveyor.servicekit.nats_process import NatsProcess, die_with_parent
from conveyor.servicekit.sections import NatsSettings
from tests.benchmarks.figures import note

PLACE = Path(__file__).resolve().parents[2] / ".conveyor" / "benchmarks"
STOP_TIMEOUT_S = 30.0
LAST_WORDS = 2000
"""How many characters of a process's log are shown when something goes wrong."""


@contextlib.asynccontextmanager
async def folder() -> AsyncIterator[Path]:
    """Give a folder on the disk the repository lies on: a temporary one may be memory, where syncing costs nothing."""
    await asyncio.to_thread(PLACE.mkdir, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PLACE) as made:
        yield Path(made)


@contextlib.asynccontextmanager
async def server_and_bus(where: Path) -> AsyncIterator[tuple[NatsProcess, Bus]]:
    """Give a nats-server with `sync_interval: always` and all streams, and a connection to it."""
    async with NatsProcess(where / "nats") as server:
        bus = await connect(NatsSettings(url=server.url), name="benchmark")
        try:
            await provision(bus)
            yield server, bus
        finally:
            await bus.close()


@contextlib.asynccontextmanager
async def process(
    module: str, *arguments: str, log: Path, stdout: Path | None = None
) -> AsyncIterator[subprocess.Popen[bytes]]:
    """Run `python -m module` until the end of the block, its output in `log`, or what it says in a file of its own."""
    with log.open("ab") as output, (stdout or log).open("ab") as said:
        started = subprocess.Popen(  # noqa: ASYNC220 - spawning takes a millisecond
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=output,
            preexec_fn=die_with_parent(),  # noqa: PLW1509 - one prctl, prepared beforehand: no lock is taken
        )
    try:
        yield started
    except BaseException:
        note(f"{module} said last: {(await asyncio.to_thread(log.read_text))[-LAST_WORDS:]}")
        raise
    finally:
        started.terminate()
        await asyncio.to_thread(started.wait, STOP_TIMEOUT_S)


async def until(
    condition: Callable[[], Awaitable[Any]], what: str, *, timeout_s: float = 60.0, every_s: float = 0.1
) -> Any:
    """Return the condition's value once it is true; TimeoutError that says what was waited for."""
    deadline = SYSTEM_CLOCK.monotonic() + timeout_s
    while not (value := await condition()):
        if SYSTEM_CLOCK.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_s:g} s: {what}")
        await SYSTEM_CLOCK.sleep(every_s)
    return value


def free_port() -> int:
    """Return a port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
