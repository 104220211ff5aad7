"""The only door of an agent that may reach some hosts: takes HTTPS connections to those and refuses all others."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from conveyor.servicekit import logs

_CHUNK_BYTES = 65_536
_HEAD_S = 30.0
_CONNECT_S = 30.0
_HTTPS = 443
_log = logs.get("runner.proxy")


def is_allowed(host: str, port: int, allowed: tuple[str, ...]) -> bool:
    """Whether one of the allowed hosts is meant; `*.` allows any name below, not the name itself."""
    host = host.rstrip(".").lower()
    for entry in allowed:
        name, _, wanted = entry.lower().partition(":")
        if port != int(wanted or _HTTPS):
            continue
        if host == name or (name.startswith("*.") and host.endswith(name[1:]) and not host.startswith(".")):
            return True
    return False


@asynccontextmanager
async def serving(path: Path, allowed: tuple[str, ...], note: Callable[[str], None]) -> AsyncIterator[None]:
    """Listen on a socket file until the block ends, then cut whatever is still open; `note` is told of every refusal.

    A host that never hangs up would else hold a connection of a run that is long over.
    """
    door = _Door(allowed, note)
    server = await asyncio.start_unix_server(door.answer, path)
    try:
        yield
    finally:
        server.close()
        await door.shut()


class _Door:
    def __init__(self, allowed: tuple[str, ...], note: Callable[[str], None]) -> None:
        self._allowed = allowed
        self._note = note
        self._answers: set[asyncio.Task[None]] = set()

    async def shut(self) -> None:
        """End every connection."""
        for answer in self._answers:
            answer.cancel()
        if self._answers:
            await asyncio.wait(self._answers)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, in a task of its own: the server's reports its cancellation as an error."""
        answer = asyncio.create_task(self._answer(reader, writer))
        self._answers.add(answer)
        answer.add_done_callback(self._answers.discard)
        await asyncio.wait({answer})
        if not answer.cancelled():
            answer.result()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_HEAD_S):
                head = await reader.readuntil(b"\r\n\r\n")
            await self._open(head, reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            _log.debug("connection of an agent ended early", reason=str(error))
        finally:
            writer.close()

    async def _open(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, _, rest = head.partition(b"\r\n")[0].decode(errors="replace").partition(" ")
        target = rest.partition(" ")[0]
        host, port = _host_and_port(target)
        if method != "CONNECT" or not is_allowed(host, port, self._allowed):
            self._note(f"refused a connection to {target[:200]}")
            await _say(
                writer, "403 Forbidden", f"{target[:200]} is not among runner.sandbox.hosts; only HTTPS passes\n"
            )
            return
        try:
            async with asyncio.timeout(_CONNECT_S):
                outside = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError) as error:
            await _say(writer, "502 Bad Gateway", f"{target} cannot be reached: {error}\n")
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pour(reader, outside[1]))
                both.create_task(_pour(outside[0], writer))
        except* OSError as errors:
            _log.debug("connection of an agent broke", target=target, reason=str(errors.exceptions[0]))
        finally:
            outside[1].close()


def _host_and_port(target: str) -> tuple[str, int]:
    host, _, port = target.rpartition(":")
    return host.strip("[]"), int(port) if port.isdecimal() else 0


async def _say(writer: asyncio.StreamWriter, status: str, text: str) -> None:
    body = text.encode()
    writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
    await writer.drain()


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(_CHUNK_BYTES):
        writer.write(chunk)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
