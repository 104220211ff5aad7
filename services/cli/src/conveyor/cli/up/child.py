"""One child process of the tree: started in a session of its own, its output handed on line by line, ended gently."""

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Callable, Mapping, Sequence

from conveyor.servicekit.nats_process import die_with_parent
from conveyor.servicekit.settings import environment_with

Sink = Callable[[str, bytes], None]
"""Takes one line of output (without its end) and whose it is."""
_READ_BYTES = 65_536
_LONGEST_LINE = 1_048_576
_LAST_LINES_S = 5.0
"""How long the output of an ended process may take: a stranger it left behind may hold the pipe open for ever."""


class Child:
    """A process that ends when this one does (Linux), and that a Ctrl-C at the terminal does not reach."""

    def __init__(self, name: str, process: Process, sink: Sink) -> None:
        self.name = name
        self._process = process
        self._sink = sink
        self._pump = asyncio.create_task(self._hand_on(), name=f"lines-{name}")

    @classmethod
    async def start(cls, name: str, command: Sequence[str], overrides: Mapping[str, str], sink: Sink) -> "Child":
        """Start it with our environment and these variables."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            env=environment_with(overrides),
            start_new_session=True,
            preexec_fn=die_with_parent(),
        )
        return cls(name, process, sink)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def wait(self) -> int:
        """Return its exit code once it has ended and its last line was handed on; minus the signal that ended it.

        Whoever stops waiting stops nothing else: the lines are handed on all the same.
        """
        code = await self._process.wait()
        await asyncio.wait({self._pump}, timeout=_LAST_LINES_S)
        return code

    async def stop(self, grace_s: float) -> None:
        """Ask it to drain; after the grace, kill whatever of its session is left."""
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_s):
                await self.wait()
        except TimeoutError:
            self.kill()
            await self.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens when it has ended."""
        if self._process.returncode is None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it and its process group at once."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it ended by itself, and nobody has told us yet
                os.killpg(self.pid, signal.SIGKILL)

    async def _hand_on(self) -> None:
        stream = self._process.stdout
        if stream is None:
            return
        rest = b""
        while chunk := await stream.read(_READ_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > _LONGEST_LINE:
                lines.append(rest)
                rest = b""
            for line in lines:
                self._say(line)
        if rest:
            self._say(rest)

    def _say(self, line: bytes) -> None:
        with contextlib.suppress(OSError):  # the terminal is gone: a service must not wait for ever to be heard
            self._sink(self.name, line)
