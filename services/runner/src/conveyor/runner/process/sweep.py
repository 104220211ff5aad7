"""Finds what a run left behind: every process that carries its id in the environment, whatever session it moved to.

The last line of defence, and what a runner has after its own crash. What clears its environment is not found so: the
keeper finds it by ancestry, and the sandbox by its pid namespace.
"""

import itertools
import os
import signal
from pathlib import Path

VARIABLE = "CONVEYOR_RUN_ID"
_PROC = Path("/proc")
_ROUNDS = 50
_NUMBERS = itertools.count()


def probe_id(what: str) -> str:
    """Return an id for a small execution that is no run, unlike any other's on this machine: its end sweeps by id."""
    return f"{what}-{os.getpid()}-{next(_NUMBERS)}"


def members(run_id: str, scratch: str = "") -> list[int]:
    """Return the ids of living processes that carry this run's id, our own process excluded.

    Two installations on one machine may have runs of the same id. Theirs have a scratch folder of the same name in
    another place: with `scratch`, ours, those are left out.
    """
    found = []
    for folder in _PROC.iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            environment = (folder / "environ").read_bytes()
        except OSError:  # it ended meanwhile, or is somebody else's
            continue
        if _is_of(environment.split(b"\0"), run_id, scratch):
            found.append(int(folder.name))
    return found


def sweep(run_id: str, scratch: str = "") -> int:
    """Kill every process of this run and return how many there were; repeated, since the dying may still fork."""
    killed: set[int] = set()
    for _ in range(_ROUNDS):
        alive = members(run_id, scratch)
        if not alive:
            break
        for process_id in alive:
            _kill(process_id)
        killed.update(alive)
    return len(killed)


def _is_of(environment: list[bytes], run_id: str, scratch: str) -> bool:
    if f"{VARIABLE}={run_id}".encode() not in environment:
        return False
    theirs = next((entry[7:] for entry in environment if entry.startswith(b"TMPDIR=")), b"").decode(errors="replace")
    is_elsewhere = bool(scratch and theirs) and theirs != scratch and Path(theirs).name == Path(scratch).name
    return not is_elsewhere


def _kill(process_id: int) -> None:
    try:
        os.kill(process_id, signal.SIGKILL)
    except ProcessLookupError:
        return
