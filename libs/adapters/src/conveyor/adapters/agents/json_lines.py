"""Output of one JSON value a line, read as far as it can be: what most of the command lines print."""

from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What reading a line may raise; the last one where it nests too deep."""


class JsonLines(Generic[T]):
    """Reads lines as one shape; unknown keys are fine."""

    def __init__(self, shape: type[T]) -> None:
        self._decoder = msgspec.json.Decoder(shape)
        self.bad = 0
        """How many lines could not be read."""

    def read(self, line: bytes) -> T | None:
        """Return what a line tells; None for an empty one, and for one that cannot be read, which is counted."""
        if not line.strip():
            return None
        try:
            return self._decoder.decode(line)
        except UNREADABLE:
            self.bad += 1
            return None
