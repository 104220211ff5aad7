"""Where the lines of the services go: to the terminal with the service's name before each, or into files."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from conveyor.cli.up.child import Sink

_COLORS = {"gateway": 34, "stage-engine": 32, "runner": 35, "reconciler": 33}
_WIDTH = max(map(len, _COLORS))


def to_terminal(*, colored: bool) -> Sink:
    """Return a sink that prefixes each line with the service it comes from, on stderr."""

    def sink(name: str, line: bytes) -> None:
        head = f"{name:<{_WIDTH}} | "
        if colored:
            head = f"\x1b[{_COLORS.get(name, 36)}m{head}\x1b[0m"
        sys.stderr.buffer.write(head.encode() + line + b"\n")
        sys.stderr.buffer.flush()

    return sink


class LogFiles:
    """A sink that keeps each service's lines in a file of its own. Use as a context."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._files: dict[str, BinaryIO] = {}

    def __call__(self, name: str, line: bytes) -> None:
        """Append one line."""
        if name not in self._files:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._files[name] = (self.directory / f"{name}.log").open("ab", buffering=0)
        self._files[name].write(line + b"\n")

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()
        self._files.clear()


class _Record(msgspec.Struct):
    """What a line of a service's log says, as far as it is of interest here."""

    event: str = ""
    level: str = ""
    reason: str = ""
    exception: str = ""


def last_errors(directory: Path) -> Iterator[str]:
    """Yield the last error of each service that logged one, in one line."""
    for file in sorted(directory.glob("*.log")):
        found = [record for line in file.read_bytes().splitlines() if (record := _error(line))]
        if found:
            last = found[-1]
            why = last.reason or last.exception.strip().rpartition("\n")[2]
            yield f"{file.stem}: {last.event}" + (f": {why}" if why else "")


def _error(line: bytes) -> _Record | None:
    try:
        record = msgspec.json.decode(line, type=_Record)
    except msgspec.MsgspecError:
        return None
    return record if record.level == "error" else None
