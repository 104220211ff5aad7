"""Control groups (version 2): the kernel counts and limits a run as a whole, and kills it at one blow."""

import os
import time
from pathlib import Path

from msgspec import Struct

from conveyor.runner.process.keeper import descendants
from conveyor.runner.workspace.places import safe_name

_MIB = 1024 * 1024
_CPU_PERIOD_US = 100_000
_REMOVE_S = 2.0


class GroupLimits(Struct, frozen=True, kw_only=True):
    """What a run as a whole may take; 0: no limit."""

    memory_mb: int = 0
    processes: int = 0
    cpus: float = 0.0


class Cgroups(Struct, frozen=True, kw_only=True):
    """A folder of the control group file system in which we may make groups, and what they can limit."""

    root: Path
    controllers: frozenset[str] = frozenset()

    @staticmethod
    def find(proc: Path = Path("/proc/self")) -> "Cgroups | None":
        """Return a place for groups of ours below our own group; None when we may not make any."""
        own = _own_group(proc)
        if own is None or not (own / "cgroup.procs").exists():
            return None
        root = own / f"conveyor-{os.getpid()}"
        try:
            controllers = _delegate(own)
            _bury_the_dead(own)
            root.mkdir(exist_ok=True)
            enabled = _enable(root, controllers)
        except OSError:
            return None
        return Cgroups(root=root, controllers=enabled) if (root / "cgroup.kill").exists() else None

    def make(self, run_id: str, limits: GroupLimits) -> str:
        """Make a run's group and return its folder; OSError when that cannot be."""
        group = self.root / safe_name(run_id)
        group.mkdir(exist_ok=True)
        for name, value in settings(limits, self.controllers).items():
            (group / name).write_text(value)
        return str(group)

    def close(self) -> None:
        """Remove what is left of it."""
        for group in (*self.root.glob("*/"), self.root):
            remove(str(group))


def settings(limits: GroupLimits, controllers: frozenset[str]) -> dict[str, str]:
    """Return what to write into which of a group's files."""
    wanted: dict[str, str] = {}
    if limits.memory_mb and "memory" in controllers:
        wanted |= {"memory.max": str(limits.memory_mb * _MIB), "memory.swap.max": "0", "memory.oom.group": "1"}
    if limits.processes and "pids" in controllers:
        wanted["pids.max"] = str(limits.processes)
    if limits.cpus and "cpu" in controllers:
        wanted["cpu.max"] = f"{int(limits.cpus * _CPU_PERIOD_US)} {_CPU_PERIOD_US}"
    return wanted


def overrun(group: str) -> str:
    """Return which limit a run has met, as a sentence; empty for none. Forks that failed are no end of a run."""
    kills = _count(Path(group) / "memory.events", "oom_kill")
    return f"it took more memory than its control group gives, and the kernel killed {kills} of it" if kills else ""


def remove(group: str) -> None:
    """Kill what is in a group and remove it; no matter if it is gone."""
    folder = Path(group)
    deadline = time.monotonic() + _REMOVE_S
    while folder.is_dir() and time.monotonic() < deadline:
        try:
            (folder / "cgroup.kill").write_text("1")
            folder.rmdir()
        except OSError:  # its last process has not yet gone
            time.sleep(0.01)


def _own_group(proc: Path) -> Path | None:
    """Return the folder of the group this process is in; None without version 2."""
    try:
        mounts = [line.split() for line in (proc / "mountinfo").read_text().splitlines()]
        groups = (proc / "cgroup").read_text().splitlines()
    except OSError:
        return None
    points = [fields[4] for fields in mounts if fields[fields.index("-") + 1] == "cgroup2"]
    names = [line[3:] for line in groups if line.startswith("0::")]
    return Path(points[0]) / names[0].lstrip("/") if points and names else None


def _delegate(own: Path) -> frozenset[str]:
    """Hand our own group's controllers on to groups below it, which only a group without processes may do."""
    available = frozenset((own / "cgroup.controllers").read_text().split()) & {"memory", "pids", "cpu"}
    if not available:
        return available
    is_top = not (own / "cgroup.type").exists()
    ours = {os.getpid(), *descendants(os.getpid())}
    inside = {int(line) for line in (own / "cgroup.procs").read_text().split()}
    if not is_top and inside:
        if not inside <= ours:
            return frozenset()
        seat = own / "runner"
        seat.mkdir(exist_ok=True)
        for process_id in inside:
            (seat / "cgroup.procs").write_text(str(process_id))
    return _enable(own, available)


def _bury_the_dead(own: Path) -> None:
    """Kill and remove what runners left here that are no more."""
    for left in own.glob("conveyor-*"):
        if not Path("/proc", left.name.rpartition("-")[2]).exists():
            for group in (*left.glob("*/"), left):
                remove(str(group))


def _enable(group: Path, controllers: frozenset[str]) -> frozenset[str]:
    for name in controllers:
        (group / "cgroup.subtree_control").write_text(f"+{name}")
    return controllers


def _count(file: Path, name: str) -> int:
    try:
        lines = [line.split() for line in file.read_text().splitlines()]
    except OSError:
        return 0
    return next((int(line[1]) for line in lines if line[:1] == [name]), 0)
