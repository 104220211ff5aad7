"""What is remembered from pass to pass and from leader to leader, on the bus."""

from typing import TypeVar

import msgspec

from conveyor.reconciler.ports import Notes
from conveyor.servicekit import logs

T = TypeVar("T")


async def recall(notes: Notes, key: str, kind: type[T]) -> T | None:
    """Return what was written down; None when nothing was, or nothing that can be read: it is found out again."""
    entry = await notes.get(key)
    if entry is None:
        return None
    try:
        return msgspec.json.decode(entry.value, type=kind)
    except msgspec.DecodeError as error:
        logs.get("reconciler").warning("a note cannot be read", note=key, reason=str(error))
        return None


async def remember(notes: Notes, key: str, value: object) -> None:
    """Write it down, over what stood there."""
    await notes.put(key, msgspec.json.encode(value))
