"""What an agent prints goes to the log stream while it runs: in chunks, secrets masked, memory bounded."""

import asyncio
import re
from collections.abc import Collection
from typing import Protocol, Self

from conveyor.contracts.errors import TransientError
from conveyor.servicekit import logs
from conveyor.servicekit.clock import Clock
from conveyor.servicekit.ending import cancel_until_ended

CHUNK_BYTES = 64 * 1024
EVERY_S = 0.25
BUFFER_BYTES = 4 * 1024 * 1024
PATIENCE_S = 5.0
"""How long an agent is held back when the stream does not take its output; then output is dropped and counted."""
_MASK = b"***"
_SHORTEST_SECRET = 6
_log = logs.get("runner.logs")


class LogSink(Protocol):
    """Where chunks go."""

    async def append(self, subject: str, chunk: bytes) -> None:
        """Store one chunk; TransientError when it is not known to be stored."""


class Masker:
    """Replaces known secrets in a stream of bytes, also those that are cut by a chunk's end."""

    def __init__(self, secrets: Collection[str]) -> None:
        known = {secret.encode() for secret in secrets if len(secret) >= _SHORTEST_SECRET}
        self._secrets = sorted(known, key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, self._secrets)) or b"(?!)")
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Return what can be shown now; an end that may become a secret, or a longer one, is held back."""
        text = self._held + data
        split = len(text) - self._open_end(text)
        for match in self._pattern.finditer(text):
            if match.start() < split < match.end():
                split = match.end()
        self._held = text[split:]
        return self._pattern.sub(_MASK, text[:split])

    def close(self) -> bytes:
        """Return what was held back."""
        held, self._held = self._held, b""
        return self._pattern.sub(_MASK, held)

    def _open_end(self, text: bytes) -> int:
        """Return the length of the longest end of the text that a secret begins with and goes on from."""
        longest = len(self._secrets[0]) - 1 if self._secrets else 0
        for size in range(min(longest, len(text)), 0, -1):
            end = text[-size:]
            if any(len(secret) > size and secret.startswith(end) for secret in self._secrets):
                return size
        return 0


class LogShipper:
    """Ships one run's output: every 250 ms, or as soon as 64 KiB are there. Use as a context."""

    def __init__(self, sink: LogSink, subject: str, secrets: Collection[str], clock: Clock) -> None:
        self._sink = sink
        self._subject = subject
        self._masker = Masker(secrets)
        self._clock = clock
        self._buffer = bytearray()
        self._lost_bytes = 0
        self._has_chunk = asyncio.Event()
        self._has_room = asyncio.Event()
        self._is_closing = False
        self._shipping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to ship."""
        self._shipping = asyncio.create_task(self._ship())
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        """Ship what is left, for no longer than the patience lasts."""
        self._buffer += self._masker.close()
        self._is_closing = True
        self._has_chunk.set()
        if self._shipping is None:
            return
        try:
            await asyncio.wait({self._shipping}, timeout=PATIENCE_S)
        finally:  # also when this wait is cancelled: nobody else would end it
            await cancel_until_ended(self._shipping)

    async def write(self, data: bytes) -> None:
        """Take output; waits while the buffer is full, and never raises."""
        if len(self._buffer) > BUFFER_BYTES and not await self._wait_for_room():
            self._lost_bytes += len(data)
            return
        self._note_loss()
        self._buffer += self._masker.feed(data)
        if len(self._buffer) >= CHUNK_BYTES:
            self._has_chunk.set()

    def say(self, text: str) -> None:
        """Add a line of the runner's own."""
        self._buffer += self._masker.feed(f"[conveyor] {text}\n".encode())

    async def _wait_for_room(self) -> bool:
        if self._lost_bytes:  # its patience was used up already
            return False
        self._has_room.clear()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._has_room.wait()
        except TimeoutError:
            return False
        return True

    def _note_loss(self) -> None:
        if self._lost_bytes:
            self._buffer += f"\n[conveyor] {self._lost_bytes} bytes of output could not be kept\n".encode()
            self._lost_bytes = 0

    async def _ship(self) -> None:
        while not (self._is_closing and not self._buffer):
            await self._wait_for_chunk()
            while self._buffer:
                await self._ship_one(bytes(self._buffer[:CHUNK_BYTES]))

    async def _wait_for_chunk(self) -> None:
        self._has_chunk.clear()
        if self._is_closing or len(self._buffer) >= CHUNK_BYTES:
            return
        try:
            async with asyncio.timeout(EVERY_S):
                await self._has_chunk.wait()
        except TimeoutError:
            return

    async def _ship_one(self, chunk: bytes) -> None:
        try:
            await self._sink.append(self._subject, chunk)
        except TransientError as error:
            _log.warning("log chunk not stored, trying again", subject=self._subject, reason=str(error))
            await self._clock.sleep(EVERY_S)
            return
        del self._buffer[: len(chunk)]
        if len(self._buffer) <= BUFFER_BYTES:
            self._has_room.set()
