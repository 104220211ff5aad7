"""What a process prints, read as it comes: counted, split into lines, its tail kept, held back when nobody takes it."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import IO, Protocol

from conveyor.runner.process.lines import LineSplitter
from conveyor.runner.process.spec import ProcessSpec

_CHUNK_BYTES = 65_536


class Watcher(Protocol):
    """Whoever wants to see the output while it comes. Its methods do not raise."""

    async def output(self, data: bytes) -> None:
        """Take bytes of either stream; the process is held back until this returns."""

    def line(self, line: bytes) -> bool:
        """Take one line of standard output; answer whether the process has given its result as of now."""


class Output:
    """Reads both streams of one process to their end."""

    def __init__(self, spec: ProcessSpec, watcher: Watcher) -> None:
        self._spec = spec
        self._watcher = watcher
        self._loop = asyncio.get_running_loop()
        self._lines = LineSplitter(spec.line_cap_bytes)
        self._tail = bytearray()
        self.size_bytes = 0
        self.last_at = self._loop.time()
        """When the last byte came, on the loop's clock."""
        self.result_at: float | None = None
        """When it gave the result it still stands by; None while there is none."""
        self.result_came = asyncio.Event()

    @property
    def tail(self) -> bytes:
        """The last bytes of both streams together."""
        return bytes(self._tail)

    @property
    def overlong_lines(self) -> int:
        """How many lines were dropped because they were too long."""
        return self._lines.overlong

    async def read_lines(self, pipe: IO[bytes]) -> None:
        """Read standard output to its end."""
        async for chunk in self._chunks(pipe):
            self._see(self._lines.feed(chunk))
            await self._watcher.output(chunk)
        self._see(self._lines.close())

    async def read(self, pipe: IO[bytes]) -> None:
        """Read standard error to its end."""
        async for chunk in self._chunks(pipe):
            await self._watcher.output(chunk)

    async def _chunks(self, pipe: IO[bytes]) -> AsyncIterator[bytes]:
        descriptor = pipe.fileno()
        os.set_blocking(descriptor, False)
        while chunk := await self._chunk(descriptor):
            self.last_at = self._loop.time()
            self.size_bytes += len(chunk)
            self._tail += chunk
            del self._tail[: -self._spec.tail_bytes]
            yield chunk

    async def _chunk(self, descriptor: int) -> bytes:
        while True:
            ready = asyncio.Event()
            self._loop.add_reader(descriptor, ready.set)
            try:
                await ready.wait()
            finally:
                self._loop.remove_reader(descriptor)
            try:
                return os.read(descriptor, _CHUNK_BYTES)
            except BlockingIOError:
                continue

    def _see(self, lines: list[bytes]) -> None:
        for line in lines:
            if not self._watcher.line(line):
                self.result_at = None
            elif self.result_at is None:
                self.result_at = self._loop.time()
                self.result_came.set()
