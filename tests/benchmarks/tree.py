"""What a tree of processes costs, read from /proc: proportional memory, and processor time while it runs (Linux)."""

import os
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_MIB = 1024


def pids_of(root: int) -> list[int]:
    """Return a process and everything below it."""
    parents: dict[int, list[int]] = {}
    for pid, fields in _stats():
        parents.setdefault(int(fields[1]), []).append(pid)
    found = [root]
    for pid in found:
        found.extend(parents.get(pid, ()))
    return found


def cpu_s(root: int) -> float:
    """Return the processor time the tree has used so far, in seconds; children that have ended count too."""
    wanted = set(pids_of(root))
    return sum(sum(map(int, fields[11:15])) for pid, fields in _stats() if pid in wanted) / TICKS_PER_S


def memory_mib(root: int) -> dict[str, float]:
    """Return the proportional set size (shared pages shared out) of each process of the tree, by what it runs."""
    return {f"{_name(pid)} ({pid})": _pss_kib(pid) / _MIB for pid in pids_of(root)}


def _pss_kib(pid: int) -> int:
    lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def _name(pid: int) -> str:
    words = (PROC / str(pid) / "cmdline").read_text().split("\0")
    return words[words.index("-m") + 1] if "-m" in words else Path(words[0]).name


def _stats() -> Iterator[tuple[int, list[str]]]:
    """Every process with its fields of /proc/<pid>/stat from the third on: state, parent and so on."""
    for path in PROC.glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:  # it ended while we looked
            continue
        yield int(path.parent.name), text.rpartition(")")[2].split()
