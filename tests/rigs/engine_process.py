"""A service in a process of its own, and the proxies through which it is watched and killed at one exact moment."""

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from conveyor.servicekit.nats_process import die_with_parent

Place = Literal["bus", "plane", "gitea"]


class EngineProcess:
    """`python -m conveyor.stage_engine`; `kill` is SIGKILL."""

    module = "conveyor.stage_engine"

    def __init__(self) -> None:
        self._configuration = Path()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, configuration: Path) -> None:
        """Start it; its output goes into a file beside the configuration."""
        self._configuration = configuration
        with configuration.with_suffix(".log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.module, "--config", str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - one prctl, prepared beforehand
            )

    def start_again(self) -> None:
        """Start it as before."""
        self.start(self._configuration)

    def kill(self) -> None:
        """End it at once, as a crash would; returns when it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """Hold it where it stands, as a machine does that is out of breath; it keeps what it has in hand."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on, unaware of the time that has passed."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)


class ReconcilerProcess(EngineProcess):
    """`python -m conveyor.reconciler`."""

    module = "conveyor.reconciler"


@dataclass(frozen=True)
class Moment:
    """When to strike: something whose text matches passes for the `nth` time.

    `before`: it never arrives. `after`: it arrived and was carried out, and the answer never arrives. `delivered`: the
    server sends it, and it never arrives.
    """

    name: str
    when: Literal["before", "after", "delivered"]
    pattern: str
    place: Place = "bus"
    nth: int = 1

    def __str__(self) -> str:
        return f"{self.when}-{self.name}".replace(" ", "-")


class Trap:
    """Waits for one moment and strikes once."""

    def __init__(self, strike: Callable[[], None]) -> None:
        self._strike = strike
        self._moment: Moment | None = None
        self._seen = 0
        self.struck = asyncio.Event()

    def set(self, moment: Moment | None) -> None:
        """Wait for this moment; None for none."""
        self._moment, self._seen = moment, 0

    def springs(self, place: Place, text: str, *, delivered: bool = False) -> Literal["", "before", "after"]:
        """Whether what passes is the moment, and on which side of it to strike."""
        moment = self._moment
        if moment is None or moment.place != place or (moment.when == "delivered") != delivered:
            return ""
        if not re.search(moment.pattern, text, re.DOTALL):
            return ""
        self._seen += 1
        if self._seen != moment.nth:
            return ""
        return "after" if moment.when == "after" else "before"

    def strike(self) -> None:
        """Kill; nothing passes any more until the next start."""
        self._moment = None
        self._strike()
        self.struck.set()


class _Proxy:
    """Accepts connections and joins each to the server behind; what passes is looked at by the trap."""

    def __init__(self, place: Place, address: str, trap: Trap) -> None:
        self._place = place
        host, _, port = address.rpartition("://")[2].partition("/")[0].rpartition(":")
        self._target = (host, int(port))
        self._scheme = address.partition("://")[0]
        self._trap = trap
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Where the engine connects instead."""
        assert self._server is not None
        return f"{self._scheme}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0, limit=2**22)
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection(*self._target, limit=2**22)
        link = _Link(self._place, self._trap)
        ways = [
            asyncio.create_task(self._there(link, reader, behind_writer)),
            asyncio.create_task(self._back(link, behind_reader, writer)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        results = await asyncio.gather(*ways, return_exceptions=True)
        for one in (writer, behind_writer):
            one.close()
            with suppress(OSError):
                await one.wait_closed()
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, (OSError, EOFError)):
                raise result

    async def _there(self, link: "_Link", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError

    async def _back(self, link: "_Link", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError


@dataclass
class _Link:
    """One connection's state: the answer that must not arrive."""

    place: Place
    trap: Trap
    awaited: str = ""

    def strikes_at(self, answer: str) -> bool:
        """Whether this is the answer; if so, the trap has struck."""
        if not self.awaited or answer != self.awaited:
            return False
        self.awaited = ""
        self.trap.strike()
        return True


class BusProxy(_Proxy):
    """Stands before nats-server and reads its protocol."""

    async def _there(self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            line, body = await _frame(reader, (b"PUB", b"HPUB"))
            words = line.decode().split()
            side = self._trap.springs("bus", f"{words[1]} {_text(body)}") if body else ""
            if side == "before":
                self._trap.strike()
                return
            writer.write(line + body)
            if side == "after":
                has_reply = len(words) == (4 if words[0] == "PUB" else 5)
                link.awaited = words[2] if has_reply else "PONG"
                if not has_reply:
                    writer.write(b"PING\r\n")  # its answer says that everything before was carried out
            await writer.drain()

    async def _back(self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            line, body = await _frame(reader, (b"MSG", b"HMSG"))
            words = line.decode().split()
            if link.strikes_at(words[1] if body else words[0]):
                return
            has_reply = len(words) == (5 if words[0] == "MSG" else 6)
            if body and has_reply and self._trap.springs("bus", words[3], delivered=True):
                self._trap.strike()
                return
            writer.write(line + body)
            await writer.drain()


async def _frame(reader: asyncio.StreamReader, with_body: tuple[bytes, ...]) -> tuple[bytes, bytes]:
    line = await reader.readuntil(b"\r\n")
    words = line.split()
    if words and words[0].upper() in with_body:
        return line, await reader.readexactly(int(words[-1]) + 2)
    return line, b""


def _text(body: bytes) -> str:
    return body[:200].decode("utf-8", "replace")


class HttpProxy(_Proxy):
    """Stands before a simulator; each request begins with its first line in a read of its own."""

    async def _there(self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65536):
            side = self._trap.springs(self._place, chunk.partition(b"\r\n")[0].decode("utf-8", "replace"))
            if side == "before":
                self._trap.strike()
                return
            if side == "after":
                link.awaited = "answer"
            writer.write(chunk)
            await writer.drain()

    async def _back(self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65536):
            if link.strikes_at("answer"):
                return
            writer.write(chunk)
            await writer.drain()
