"""What is executed, how it may be stopped, and what came of it: the words of the process room."""

import asyncio
import signal
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

MIB = 1024 * 1024


class Stop(StrEnum):
    """Why we ended a process that would have gone on."""

    WALL_TIME = "wall_time"
    IDLE_TIME = "idle_time"
    AFTER_RESULT = "after_result"
    """It had given its result and did not leave."""
    HOPELESS = "hopeless"
    """Its output says that it cannot succeed any more."""
    LIMIT = "limit"
    """It took more memory, processes or disk than it may."""
    BUDGET = "budget"
    """Its money is spent."""
    NO_PROGRESS = "no_progress"
    """It does the same again and again."""
    CANCELLED = "cancelled"
    SHUTDOWN = "shutdown"


class StopSwitch:
    """Asks a process to stop, from outside, also before it starts. The first reason stays, but a cancel outranks it."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.hurried = asyncio.Event()
        """Set when there is no time for a slow farewell: on a cancel and on a shutdown."""
        self.called_off = asyncio.Event()
        """Set on a cancel: nothing of the run is wanted any more."""
        self.reason: Stop | None = None
        self.why = ""
        """A sentence about the reason, where it needs one."""

    def stop(self, reason: Stop, why: str = "") -> None:
        """Ask for the stop; asking again only makes it more urgent."""
        if self.reason is None or reason is Stop.CANCELLED:
            self.reason, self.why = reason, why
        self.asked.set()
        if reason in (Stop.CANCELLED, Stop.SHUTDOWN):
            self.hurried.set()
        if reason is Stop.CANCELLED:
            self.called_off.set()


class Ladder(Struct, frozen=True, kw_only=True):
    """How a process is stopped: gentle signals to the process itself, SIGTERM to the group, SIGKILL to all."""

    gentle: tuple[signal.Signals, ...] = (signal.SIGINT,)
    """Claude tells its cost on SIGINT only (facts/agents: SIGTERM leaves no result line)."""
    gentle_wait_s: float = 5.0
    term_wait_s: float = 20.0


AT_ONCE = Ladder(gentle_wait_s=0.6, term_wait_s=0.6)
"""For a cancel: everything is gone within 2 s (RU-11)."""


class Timers(Struct, frozen=True, kw_only=True):
    """How long a process may take, in seconds."""

    wall_s: float
    idle_s: float = 600.0
    """Without one byte of output; 0: no limit."""
    after_result_s: float = 30.0
    """After its result (RU-5)."""
    drain_s: float = 2.0
    """For the rest of its output once it has exited: a stray may hold the pipe open for ever."""


class Limits(Struct, frozen=True, kw_only=True):
    """What the kernel holds every single process of a run to; 0: no limit."""

    data_bytes: int = 0
    """Memory of its own."""
    file_bytes: int = 0
    """The size of any file it writes."""
    cpu_s: int = 0
    """Processor time."""


class Shell(Struct, frozen=True, kw_only=True):
    """What is put around a process."""

    wrapper: tuple[str, ...] = ()
    """bubblewrap and its arguments, up to the command; empty: the process runs as it is."""
    limits: Limits = Limits()
    cgroup: str = ""
    """The control group it is born into, an existing folder; empty: none."""


class ProcessSpec(Struct, frozen=True, kw_only=True):
    """One execution."""

    run_id: str
    """Goes into the environment as CONVEYOR_RUN_ID, by which survivors are found."""
    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    """The whole environment; nothing is inherited."""
    stdin: bytes
    """Written whole, then end of file."""
    timers: Timers
    shell: Shell = Shell()
    ladder: Ladder = Ladder()
    line_cap_bytes: int = 8 * MIB
    tail_bytes: int = 16 * 1024


class ProcessExit(Struct, frozen=True, kw_only=True):
    """The one result of an execution."""

    code: int | None
    """The exit code, negative for a signal; None when it never started."""
    stop: Stop | None = None
    launch_error: str = ""
    tail: bytes = b""
    """The last of what it printed, both streams together."""
    output_bytes: int = 0
    overlong_lines: int = 0
    survivors: int = 0
    """Processes of this run that outlived it and were killed."""
    duration_s: float = 0.0
