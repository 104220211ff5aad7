"""Watches what a run takes as a whole where the kernel does not: processes, memory, disk. Too much: it is stopped."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from conveyor.runner.process import Stop, StopSwitch
from conveyor.runner.sandbox import cgroups

EVERY_S = 0.5
_MIB = 1024 * 1024
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_NOTABLE_BYTES = 32 * _MIB
"""So much must have gone from the disk before a run's folders are measured: walking 50,000 files costs a second."""


class Allowance(Struct, frozen=True, kw_only=True):
    """What a run may take as a whole; 0: no limit."""

    processes: int = 0
    memory_mb: int = 0
    disk_mb: int = 0
    folders: tuple[Path, ...] = ()
    """What counts as its disk."""
    cgroup: str = ""
    """Its control group, which tells what the kernel did; empty: none."""


async def watch(allowance: Allowance, switch: StopSwitch, members: Callable[[], list[int]]) -> None:
    """Look twice a second until cancelled, or until the run was stopped for what it took."""
    disk = _Disk(allowance)
    while True:
        await asyncio.sleep(EVERY_S)
        why = _too_much(allowance, members()) or await disk.too_much()
        if why:
            switch.stop(Stop.LIMIT, why)
            return


def _too_much(allowance: Allowance, members: list[int]) -> str:
    if allowance.cgroup and (why := cgroups.overrun(allowance.cgroup)):
        return why
    if allowance.processes and len(members) > allowance.processes:
        return f"it had {len(members)} processes at once, {allowance.processes} are allowed"
    if allowance.memory_mb:
        taken_mb = sum(map(_own_bytes, members)) // _MIB
        if taken_mb > allowance.memory_mb:
            return f"its processes took {taken_mb} MB of memory, {allowance.memory_mb} are allowed"
    return ""


def _own_bytes(process_id: int) -> int:
    """Return a process's memory in use without what it shares, such as its programs' files."""
    try:
        fields = Path(f"/proc/{process_id}/statm").read_text().split()
    except OSError:
        return 0
    return (int(fields[1]) - int(fields[2])) * _PAGE_BYTES


class _Disk:
    """A run's folders, measured when the disk they lie on has lost a notable part."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._free_bytes = self._free()

    async def too_much(self) -> str:
        allowed_mb = self._allowance.disk_mb
        free_bytes = self._free()
        if not allowed_mb or self._free_bytes - free_bytes < min(_NOTABLE_BYTES, allowed_mb * _MIB // 4):
            self._free_bytes = max(self._free_bytes, free_bytes)
            return ""
        self._free_bytes = free_bytes
        taken_mb = await asyncio.to_thread(lambda: sum(map(size_of, self._allowance.folders))) // _MIB
        return f"its files took {taken_mb} MB, {allowed_mb} are allowed" if taken_mb > allowed_mb else ""

    def _free(self) -> int:
        for folder in self._allowance.folders:
            try:
                found = os.statvfs(folder)
            except OSError:  # an agent without walls may remove its own worktree: the watch goes on
                continue
            return found.f_bfree * found.f_frsize
        return 0


def size_of(folder: Path) -> int:
    """Return what a folder takes on the disk, links not followed; what vanishes meanwhile counts nothing."""
    total, waiting = 0, [str(folder)]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            continue
        for entry in entries:
            try:
                total += entry.stat(follow_symlinks=False).st_blocks * 512
            except OSError:
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
    return total
