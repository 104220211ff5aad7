"""The disk: whether the folders that hold our data can be written to, and how much room is left there."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from conveyor.cli.doctor.finding import Clipboard, Finding

MIB = 1024 * 1024
SCARCE_BYTES = 2048 * MIB
"""Streams, spool and worktrees of a few tasks fit in this."""
LOW_BYTES = 256 * MIB
"""With less, the next burst of deliveries or the next clone may fill it."""


def look(folders: Mapping[str, Path]) -> list[Finding]:
    """Return how the disk is under folders, by what each is for; one that is not there yet is judged by its parent."""
    notes = Clipboard("disk")
    for name, folder in folders.items():
        there = next(place for place in (folder, *folder.parents) if place.exists())
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            notes.of(name).failed("writable", f"nothing can be written to {there}", "change its owner, or the setting")
        else:
            room(notes.of(name), there, shutil.disk_usage(there).free)
    return notes.findings


def room(notes: Clipboard, folder: Path, free_bytes: int) -> None:
    """Say whether this is enough."""
    told = f"{free_bytes // MIB:,} MB are free at {folder}"
    if free_bytes < LOW_BYTES:
        notes.failed("room", told, "make room before anything starts: the bus stops when its disk is full")
    elif free_bytes < SCARCE_BYTES:
        notes.warning("room", told, "make room soon")
    else:
        notes.ok("room", told)
