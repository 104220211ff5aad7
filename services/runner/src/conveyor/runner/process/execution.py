"""Spawns one process, watches it, stops it when its time is over, and leaves nothing of it behind."""

import asyncio
import os
import signal
import subprocess
import tempfile

from msgspec.structs import replace

from conveyor.runner.process.output import Output, Watcher
from conveyor.runner.process.spec import AT_ONCE, Ladder, ProcessExit, ProcessSpec, Stop, StopSwitch
from conveyor.runner.process.sweep import VARIABLE, sweep

_KILLED_WAIT_S = 10.0


async def execute(spec: ProcessSpec, watcher: Watcher, switch: StopSwitch) -> ProcessExit:
    """Run one process to its end and return its one result, whatever happens.

    Promises that no process of the run is left when it returns or raises, also when it is cancelled.
    """
    try:
        process = _spawn(spec)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return ProcessExit(code=None, launch_error=f"cannot start {spec.argv[0]}: {error}")
    try:
        return await _Execution(spec, process, switch).run(Output(spec, watcher))
    finally:
        _bury(process, spec.run_id)


def _spawn(spec: ProcessSpec) -> subprocess.Popen[bytes]:
    with tempfile.TemporaryFile() as stdin:
        stdin.write(spec.stdin)
        stdin.seek(0)
        return subprocess.Popen(
            spec.argv,
            cwd=spec.cwd,
            env={**spec.env, VARIABLE: spec.run_id},
            stdin=stdin,  # a file ends by itself: an agent whose input stays open waits for ever (facts/agents 1.3)
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )


class _Execution:
    """One running process and the clocks that run on it."""

    def __init__(self, spec: ProcessSpec, process: subprocess.Popen[bytes], switch: StopSwitch) -> None:
        self._spec = spec
        self._process = process
        self._switch = switch
        self._loop = asyncio.get_running_loop()
        self._started_at = self._loop.time()
        self._exited = asyncio.Event()

    async def run(self, output: Output) -> ProcessExit:
        """Watch the process to its end."""
        assert self._process.stdout is not None  # noqa: S101 - both streams were asked for as pipes
        assert self._process.stderr is not None  # noqa: S101 - as above
        pidfd = os.pidfd_open(self._process.pid)
        self._loop.add_reader(pidfd, self._exited.set)
        readers = [
            asyncio.create_task(output.read_lines(self._process.stdout)),
            asyncio.create_task(output.read(self._process.stderr)),
        ]
        try:
            stop = await self._until_exit_or_stop(output)
            if stop is not None:
                await self._descend(self._ladder(stop))
            survivors = await asyncio.to_thread(_kill_all, self._process, self._spec.run_id)
            await self._drain(readers)
            return self._exit(output, stop, survivors)
        finally:
            self._loop.remove_reader(pidfd)
            os.close(pidfd)
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)

    def _exit(self, output: Output, stop: Stop | None, survivors: int) -> ProcessExit:
        return ProcessExit(
            code=self._process.wait(),
            stop=stop,
            tail=output.tail,
            output_bytes=output.size_bytes,
            overlong_lines=output.overlong_lines,
            survivors=survivors,
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
            _signal(self._process, number)
            if await self._gone_within(ladder.gentle_wait_s):
                return
        _signal_group(self._process, signal.SIGTERM)
        if await self._gone_within(ladder.term_wait_s):
            return
        await asyncio.to_thread(_kill_all, self._process, self._spec.run_id)
        await self._wait_any(_KILLED_WAIT_S, self._exited)

    async def _gone_within(self, timeout_s: float) -> bool:
        """Whether the process ends in time; a cancel that comes meanwhile leaves it no more than a cancel's time."""
        deadline = self._loop.time() + timeout_s
        if self._switch.reason is None:
            await self._wait_any(timeout_s, self._exited, self._switch.asked)
        if not self._exited.is_set():
            left_s = min(deadline - self._loop.time(), AT_ONCE.term_wait_s)
            await self._wait_any(left_s, self._exited)
        return self._exited.is_set()


def _kill_all(process: subprocess.Popen[bytes], run_id: str) -> int:
    """Kill the group and whatever else is of this run; return how many outlived the process itself.

    The process is not yet reaped here, so its group's id cannot have become somebody else's.
    """
    had_ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    found = sweep(run_id)
    _signal_group(process, signal.SIGKILL)  # whoever cleared its environment but stayed in the group
    return found if had_ended else max(found - 1, 0)


def _bury(process: subprocess.Popen[bytes], run_id: str) -> None:
    """Make sure of the end: the last line of defence when watching was cancelled or failed."""
    if process.returncode is None:
        _kill_all(process, run_id)
        process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe:
            pipe.close()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    if process.returncode is None:
        os.kill(process.pid, number)


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return
