"""Spawns one process, watches it, stops it when its time is over, and leaves nothing of it behind."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from conveyor.runner.process.kept import Kept
from conveyor.runner.process.output import Output, Watcher
from conveyor.runner.process.spec import AT_ONCE, Ladder, ProcessExit, ProcessSpec, Stop, StopSwitch

_KILLED_WAIT_S = 3.0
_SHELL_SIGNAL = 128
_DEADLY = (signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGKILL, signal.SIGSEGV, signal.SIGXCPU, signal.SIGXFSZ)
"""Signals that no program gives as its exit code on purpose, unlike SIGINT and SIGTERM."""

Guard = Callable[[Callable[[], list[int]]], Awaitable[None]]
"""Watches a run: is given what tells its living processes, and is cancelled at its end."""


async def execute(spec: ProcessSpec, watcher: Watcher, switch: StopSwitch, guard: Guard | None = None) -> ProcessExit:
    """Run one process to its end and return its one result, whatever happens.

    Promises that no process of the run is left when it returns or raises, also when it is cancelled. A guard is told
    of the run and watches it until it ends; a run that cannot be watched any more is stopped.
    """
    try:
        kept = Kept(spec)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return ProcessExit(code=None, launch_error=f"cannot start {spec.argv[0]}: {error}")
    watching = asyncio.ensure_future(guard(kept.members)) if guard else None
    if watching:
        watching.add_done_callback(partial(_guard_ended, switch))
    try:
        return await _Execution(spec, kept, switch).run(Output(spec, watcher))
    finally:
        kept.bury()
        kept.close()
        if watching:
            watching.cancel()
            await asyncio.wait({watching})


def _guard_ended(switch: StopSwitch, watching: "asyncio.Future[None]") -> None:
    if not watching.cancelled() and (error := watching.exception()):
        switch.stop(Stop.LIMIT, f"its limits cannot be watched: {error}")


class _Execution:
    """One running process and the clocks that run on it."""

    def __init__(self, spec: ProcessSpec, kept: Kept, switch: StopSwitch) -> None:
        self._spec = spec
        self._kept = kept
        self._switch = switch
        self._loop = asyncio.get_running_loop()
        self._started_at = self._loop.time()
        self._exited = asyncio.Event()

    async def run(self, output: Output) -> ProcessExit:
        """Watch the process to its end."""
        process = self._kept.process
        assert process.stdout is not None  # noqa: S101 - both streams were asked for as pipes
        assert process.stderr is not None  # noqa: S101 - as above
        pidfd = os.pidfd_open(process.pid)
        self._loop.add_reader(pidfd, self._exited.set)
        readers = [
            asyncio.create_task(output.read_lines(process.stdout)),
            asyncio.create_task(output.read(process.stderr)),
        ]
        try:
            stop = await self._until_exit_or_stop(output)
            if stop is not None:
                await self._descend(self._ladder(stop))
            survivors = await asyncio.to_thread(self._kept.bury)
            await self._drain(readers)
            return self._exit(output, stop, survivors)
        finally:
            self._loop.remove_reader(pidfd)
            os.close(pidfd)
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)

    def _exit(self, output: Output, stop: Stop | None, survivors: int) -> ProcessExit:
        launch_error = self._kept.launch_error or _sandbox_error(self._spec, self._kept.process.returncode, output.tail)
        if launch_error:
            return ProcessExit(code=None, launch_error=f"cannot start {self._spec.argv[0]}: {launch_error}")
        return ProcessExit(
            code=_code(self._spec, self._kept.process.returncode),
            stop=stop,
            tail=output.tail,
            output_bytes=output.size_bytes,
            overlong_lines=output.overlong_lines,
            survivors=survivors + self._kept.survivors,
            duration_s=self._loop.time() - self._started_at,
        )

    async def _drain(self, readers: list[asyncio.Task[None]]) -> None:
        await asyncio.wait(readers, timeout=self._spec.timers.drain_s)
        for reader in readers:
            if reader.done() and (error := reader.exception()):
                raise error

    async def _until_exit_or_stop(self, output: Output) -> Stop | None:
        while not self._exited.is_set():
            if self._switch.reason is not None:
                return self._switch.reason
            deadline, reason = self._next_deadline(output)
            if self._loop.time() >= deadline:
                return reason
            output.result_came.clear()
            await self._wait_any(deadline - self._loop.time(), self._exited, self._switch.asked, output.result_came)
        return None

    def _next_deadline(self, output: Output) -> tuple[float, Stop]:
        timers = self._spec.timers
        deadlines = [(self._started_at + timers.wall_s, Stop.WALL_TIME)]
        if output.result_at is not None:
            deadlines.append((output.result_at + timers.after_result_s, Stop.AFTER_RESULT))
        elif timers.idle_s:
            deadlines.append((output.last_at + timers.idle_s, Stop.IDLE_TIME))
        return min(deadlines)

    async def _wait_any(self, timeout_s: float, *events: asyncio.Event) -> None:
        waits = [asyncio.create_task(event.wait()) for event in events]
        try:
            await asyncio.wait(waits, timeout=max(timeout_s, 0), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _ladder(self, stop: Stop) -> Ladder:
        if stop in (Stop.CANCELLED, Stop.SHUTDOWN):
            return replace(AT_ONCE, gentle=self._spec.ladder.gentle[:1])
        return self._spec.ladder

    async def _descend(self, ladder: Ladder) -> None:
        """Gently to the process alone, SIGTERM to its group, SIGKILL to everything that is of this run."""
        for number in ladder.gentle:
            self._kept.signal(number)
            if await self._gone_within(ladder.gentle_wait_s):
                return
        self._kept.signal_group(signal.SIGTERM)
        if await self._gone_within(ladder.term_wait_s):
            return
        self._kept.ask_for_the_end()
        await self._wait_any(_KILLED_WAIT_S, self._exited)

    async def _gone_within(self, timeout_s: float) -> bool:
        """Whether the process ends in time; a cancel that comes meanwhile leaves it no more than a cancel's time."""
        deadline = self._loop.time() + timeout_s
        await self._wait_any(timeout_s, self._exited, self._switch.hurried)
        if not self._exited.is_set():
            left_s = min(deadline - self._loop.time(), AT_ONCE.term_wait_s)
            await self._wait_any(left_s, self._exited)
        return self._exited.is_set()


def _code(spec: ProcessSpec, code: int) -> int:
    """Return the exit code; the sandbox tells death by a signal as a shell does, we as the kernel does."""
    number = code - _SHELL_SIGNAL
    return -number if spec.shell.wrapper and number in _DEADLY else code


def _sandbox_error(spec: ProcessSpec, code: int, tail: bytes) -> str:
    """Return what the sandbox printed instead of starting the process; empty when it did start."""
    program = Path(spec.shell.wrapper[0]).name if spec.shell.wrapper else ""
    last = tail.decode(errors="replace").strip()
    return last if program and code == 1 and last.startswith(f"{program}: ") and "\n" not in last else ""
