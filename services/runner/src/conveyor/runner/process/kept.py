"""One run's processes as the runner holds them: the keeper it started, the agent below it, and how each is reached."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from conveyor.runner.process import keeper
from conveyor.runner.process.spec import Limits, ProcessSpec
from conveyor.runner.process.sweep import VARIABLE, sweep

_KEEPER = str(Path(keeper.__file__).resolve())
_KEEPER_WAIT_S = 3.0
_STATUS_BYTES = 65_536


class Kept:
    """A started run. The process it is about, `agent`, is the keeper's child, or the sandbox's."""

    def __init__(self, spec: ProcessSpec) -> None:
        """Start it; OSError, ValueError or SubprocessError when that cannot be."""
        self._run_id = spec.run_id
        self._scratch = spec.env.get("TMPDIR", "")
        self._is_wrapped = bool(spec.shell.wrapper)
        self._status = ""
        self._info = ""
        self._status_fd, status_fd = os.pipe()
        self._info_fd, info_fd = os.pipe()
        try:
            self.process = _spawn(spec, status_fd, info_fd)
        except BaseException:
            os.close(self._status_fd)
            os.close(self._info_fd)
            raise
        finally:
            os.close(status_fd)
            os.close(info_fd)
        for descriptor in (self._status_fd, self._info_fd):
            os.set_blocking(descriptor, False)

    @property
    def launch_error(self) -> str:
        """Why the process could not be started; empty when it was."""
        return self._said("error")

    @property
    def survivors(self) -> int:
        """How many processes outlived the run's own."""
        return int(self._said("survivors") or 0)

    def members(self) -> list[int]:
        """Return the run's living processes as the kernel knows them by ancestry, the keeper not counted."""
        return keeper.descendants(self.process.pid)

    def signal(self, number: int) -> None:
        """Send a signal to the agent alone; nothing happens when there is none."""
        agent = self._agent()
        if agent:
            _send(agent, number)
            self._wake()

    def signal_group(self, number: int) -> None:
        """Send a signal to the agent's whole group."""
        agent = self._agent()
        try:
            if agent and os.getpgid(agent) != os.getpgrp():
                os.killpg(os.getpgid(agent), number)
        except ProcessLookupError:
            return

    def ask_for_the_end(self) -> None:
        """Let the keeper kill everything; it ends once that is done."""
        if self.process.returncode is None:
            _send(self.process.pid, signal.SIGTERM)
            self._wake()

    def bury(self) -> int:
        """Make sure of the end, whatever has become of the keeper; return how many were still there."""
        found: set[int] = set()
        if self.process.returncode is None:
            self.ask_for_the_end()
            try:
                self.process.wait(_KEEPER_WAIT_S)
            except subprocess.TimeoutExpired:  # somebody stopped it, or the kernel does not let go of a process
                found = keeper.kill_descendants(self.process.pid)
                _send(self.process.pid, signal.SIGKILL)
                self.process.wait()
        return len(found) + sweep(self._run_id, self._scratch)

    def close(self) -> None:
        """Let go of its pipes."""
        self._read()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()
        for descriptor in (self._status_fd, self._info_fd):
            os.close(descriptor)

    def _wake(self) -> None:
        """Let the keeper go on, in case the agent has stopped it."""
        if self.process.returncode is None:
            _send(self.process.pid, signal.SIGCONT)

    def _agent(self) -> int:
        """Return the agent's process id as we see it; 0 while there is none, or none any more."""
        first = int(self._said("pid") or 0)
        if not first or not self._is_wrapped or self.process.returncode is not None:
            return first
        try:
            inside = int(json.loads(self._info)["child-pid"])
        except (ValueError, KeyError):  # not said yet
            return 0
        return _second_in_namespace(inside)

    def _said(self, word: str) -> str:
        self._read()
        lines = (line.partition(" ") for line in self._status.splitlines())
        return next((rest for first, _, rest in lines if first == word), "")

    def _read(self) -> None:
        self._status += _read_all(self._status_fd)
        self._info += _read_all(self._info_fd)


def _spawn(spec: ProcessSpec, status_fd: int, info_fd: int) -> subprocess.Popen[bytes]:
    argv = spec.argv
    if spec.shell.wrapper:
        program, *arguments = spec.shell.wrapper
        argv = (program, "--info-fd", str(info_fd), *arguments, "--", *argv)
    own = (sys.executable, "-I", "-S", _KEEPER, str(status_fd), str(os.getpid()), spec.shell.cgroup)
    with tempfile.TemporaryFile() as stdin:
        stdin.write(spec.stdin)
        stdin.seek(0)
        return subprocess.Popen(
            (*own, _spoken(spec.shell.limits), *argv),
            cwd=spec.cwd,
            env={**spec.env, VARIABLE: spec.run_id},
            stdin=stdin,  # a file ends by itself: an agent whose input stays open waits for ever (facts/agents 1.3)
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(status_fd, info_fd) if spec.shell.wrapper else (status_fd,),
            start_new_session=True,
        )


def _spoken(limits: Limits) -> str:
    named = {"DATA": limits.data_bytes, "FSIZE": limits.file_bytes, "CPU": limits.cpu_s, "CORE": -1}
    return ",".join(f"{name}={max(value, 0)}" for name, value in named.items() if value)


def _second_in_namespace(init: int) -> int:
    """Return the process that a sandbox's first one started: number 2 within; 0 while it is not there."""
    for process_id in keeper.descendants(init):
        try:
            status = Path(f"/proc/{process_id}/status").read_text()
        except OSError:
            continue
        numbers = next((line.split() for line in status.splitlines() if line.startswith("NSpid:")), [])
        if numbers and numbers[-1] == "2":
            return process_id
    return 0


def _read_all(descriptor: int) -> str:
    try:
        return os.read(descriptor, _STATUS_BYTES).decode(errors="replace")
    except BlockingIOError:
        return ""


def _send(process_id: int, number: int) -> None:
    try:
        os.kill(process_id, number)
    except (ProcessLookupError, PermissionError):
        return
