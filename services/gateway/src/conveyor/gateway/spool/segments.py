"""The spool's files: numbered segments, appended to and synced, deleted once told. Blocking; called from threads."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from conveyor.contracts.errors import SettingsError

SUFFIX = ".spool"
LOCK = "lock"
GONE = frozenset({errno.ENOENT, errno.EIO})
"""Errors that reading again does not cure: somebody removed the file, or the disk lost it."""


class Place(Struct, frozen=True):
    """Where a record lies; sizes and offsets in bytes."""

    segment: int
    offset: int
    length: int


class Segments:
    """The files of one spool. Only the youngest is written, and never one that an earlier process wrote.

    Every method may raise OSError; what it leaves behind is read by the next start like anything else.
    """

    def __init__(self, folder: Path, segment_bytes: int) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._active: int | None = None
        self._file = -1
        self._size = 0
        self._next = max(self.numbers(), default=0) + 1

    @property
    def active(self) -> int | None:
        """The segment that is written to now."""
        return self._active

    def numbers(self) -> list[int]:
        """Return the segments that there are, oldest first."""
        return sorted(int(path.stem) for path in self._folder.glob(f"*{SUFFIX}") if path.stem.isdigit())

    def lines(self, segment: int) -> Iterator[tuple[Place, bytes]]:
        """Yield every line of a segment with its place; the last may be cut off."""
        offset = 0
        with self._path(segment).open("rb") as file:
            for line in file:
                yield Place(segment, offset, len(line)), line
                offset += len(line)

    def append(self, lines: list[bytes]) -> list[Place]:
        """Return where the lines lie once they are safe on disk."""
        if self._active is None or self._size >= self._segment_bytes:
            self._begin()
        segment, offset = self._active or 0, self._size
        try:
            _write_all(self._file, b"".join(lines))
            os.fdatasync(self._file)
        except OSError:
            self._abandon(offset)
            raise
        places = []
        for line in lines:
            places.append(Place(segment, offset, len(line)))
            offset += len(line)
        self._size = offset
        return places

    def read(self, places: list[Place]) -> list[bytes]:
        """Return the lines that lie at these places; nothing for one whose file or place on the disk is gone."""
        files: dict[int, int] = {}
        try:
            return [self._line(place, files) for place in places]
        finally:
            for file in files.values():
                os.close(file)

    def _line(self, place: Place, files: dict[int, int]) -> bytes:
        try:
            if place.segment not in files:
                files[place.segment] = os.open(self._path(place.segment), os.O_RDONLY)
            return os.pread(files[place.segment], place.length, place.offset)
        except OSError as error:
            if error.errno not in GONE:
                raise
            return b""

    def retire(self) -> None:
        """Write no more to the active segment."""
        if self._active is not None:
            self._active = None
            os.close(self._file)

    def delete(self, segment: int) -> None:
        """Remove a segment that was told to its end; should a crash bring it back, its facts are known already."""
        self._path(segment).unlink(missing_ok=True)

    def _begin(self) -> None:
        self.retire()
        number, self._next = self._next, self._next + 1
        file = os.open(self._path(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            sync_folder(self._folder)
        except OSError:
            os.close(file)  # what is written to a file without a lasting name is not safe
            raise
        self._active, self._file, self._size = number, file, 0

    def _abandon(self, size: int) -> None:
        """Leave a segment whose last write failed: what a failed sync left in it is unknown to any later one."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, size)
        with contextlib.suppress(OSError):
            self.retire()

    def _path(self, segment: int) -> Path:
        return self._folder / f"{segment:08d}{SUFFIX}"


def _write_all(file: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]


def make_folder(folder: Path) -> None:
    """Make a folder that outlives a crash, with those above it that are missing."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True, mode=0o700)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder outlive a crash."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def claim(folder: Path) -> int:
    """Make the folder ours alone and return the open lock; it ends with the process, however that ends.

    SettingsError when it cannot be used or another gateway has it.
    """
    try:
        make_folder(folder)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise SettingsError(f"gateway.spool_dir: cannot write to {folder}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise SettingsError(f"gateway.spool_dir: another gateway uses {folder}; give each its own") from error
    return lock
