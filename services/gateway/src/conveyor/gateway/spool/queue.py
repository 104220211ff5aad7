"""The spool of one source: deliveries in the order they were answered, kept on disk until somebody has told them."""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from conveyor.contracts.errors import MessageError, SettingsError, TransientError
from conveyor.gateway.spool.record import Delivery, delivery_of, line_of
from conveyor.gateway.spool.segments import GONE, Place, Segments, make_folder
from conveyor.servicekit import logs

SEGMENT_BYTES = 4 * 1024 * 1024
READ_BYTES = 4 * 1024 * 1024
"""What is read at once: it is held in memory, and told together within one timeout."""
SEGMENTS_AT_LEAST = 8
"""So many segments fit into the bound, so that told ones make room long before the last is told."""


class SpoolError(TransientError):
    """A delivery was not kept: the spool is full, or the disk refused."""


class Waiting(Struct, frozen=True):
    """One kept delivery: where it lies and since when."""

    place: Place
    received_at: datetime


class Appending(Struct, frozen=True):
    """One delivery on its way to the disk."""

    line: bytes
    received_at: datetime
    kept: asyncio.Future[None]


class Spool:
    """Deliveries that wait, oldest first. Many that come at once share one sync of the disk."""

    def __init__(self, folder: Path, max_bytes: int, on_damage: Callable[[], None]) -> None:
        """Take over what an earlier process left; blocking. `on_damage` is called for every unreadable record.

        SettingsError when it may not be read: passed over, it would be lost.
        """
        make_folder(folder)
        self._segments = Segments(folder, min(SEGMENT_BYTES, max_bytes // SEGMENTS_AT_LEAST))
        self._max_bytes = max_bytes
        self._on_damage = on_damage
        self._log = logs.get("spool")
        self._name = folder.name
        self._waiting: deque[Waiting] = deque()
        self._sizes: dict[int, int] = {}
        """Bytes of every segment on disk: told records count until their segment is deleted."""
        self._appending: list[Appending] = []
        self._under_way = 0
        self._coming_bytes = 0
        self._writer: asyncio.Task[None] | None = None
        self.filled = asyncio.Event()
        """Set while a delivery waits."""
        self._take_over()

    @property
    def depth(self) -> int:
        """How many deliveries wait, those on their way to the disk included."""
        return len(self._waiting) + len(self._appending) + self._under_way

    @property
    def size(self) -> int:
        """How many bytes lie on the disk."""
        return sum(self._sizes.values())

    @property
    def oldest(self) -> datetime | None:
        """When the first of those that wait was received."""
        return self._waiting[0].received_at if self._waiting else None

    async def append(self, delivery: Delivery) -> None:
        """Return once the delivery is safe on disk; SpoolError when it is not."""
        line = line_of(delivery)
        if self.size + self._coming_bytes + len(line) > self._max_bytes:
            raise SpoolError(f"the spool of {self._name} is full: {self.size} of {self._max_bytes} bytes")
        self._coming_bytes += len(line)
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._appending.append(Appending(line, delivery.received_at, kept))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write(), name=f"spool-{self._name}")
        await kept

    async def first(self, count: int) -> list[Delivery | MessageError]:
        """Return so many of those that wait, oldest first; a record that went bad is the error that says so.

        Large ones come in smaller numbers, one at least.
        """
        wanted: list[Place] = []
        size = 0
        for one in itertools.islice(self._waiting, count):
            size += one.place.length
            if wanted and size > READ_BYTES:
                break
            wanted.append(one.place)
        try:
            lines = await asyncio.to_thread(self._segments.read, wanted)
        except OSError as error:
            raise SpoolError(f"the spool of {self._name} cannot be read: {error.strerror}") from error
        return [self._read(line) for line in lines]

    async def told(self, count: int) -> None:
        """Forget the first so many: they are safe elsewhere, or nobody wants them."""
        for _ in range(count):
            self._waiting.popleft()
        if self.depth == 0:
            self._segments.retire()
        if not self._waiting:
            self.filled.clear()
        await self._tidy()

    async def close(self) -> None:
        """Wait until nothing is on its way to the disk."""
        if self._writer is not None:
            await asyncio.wait({self._writer})
        self._segments.retire()

    async def _write(self) -> None:
        while self._appending:
            batch, self._appending = self._appending, []
            self._under_way = len(batch)
            try:
                places = await asyncio.to_thread(self._segments.append, [one.line for one in batch])
            except OSError as error:
                self._log.error("spool cannot be written", source=self._name, reason=error.strerror)
                _fail(batch, SpoolError(f"the spool of {self._name} cannot be written: {error.strerror}"))
            else:
                self._kept(batch, places)
            finally:
                self._under_way = 0
                self._coming_bytes -= sum(len(one.line) for one in batch)

    def _kept(self, batch: Sequence[Appending], places: Sequence[Place]) -> None:
        for one, place in zip(batch, places, strict=True):
            self._waiting.append(Waiting(place, one.received_at))
            self._sizes[place.segment] = place.offset + place.length
            if not one.kept.done():  # who waited may have given up: it is kept all the same
                one.kept.set_result(None)
        self.filled.set()

    async def _tidy(self) -> None:
        """Delete the segments before the first that still holds something."""
        first = self._waiting[0].place.segment if self._waiting else None
        held = first if first is not None else self._segments.active
        for segment in [number for number in self._sizes if held is None or number < held]:
            try:
                await asyncio.to_thread(self._segments.delete, segment)
            except OSError as error:
                self._log.warning("spool not tidied", source=self._name, segment=segment, reason=error.strerror)
                return
            del self._sizes[segment]

    def _take_over(self) -> None:
        for segment in self._segments.numbers():
            self._sizes[segment] = 0
            try:
                self._take_segment(segment)
            except OSError as error:
                if error.errno not in GONE:
                    raise SettingsError(f"gateway.spool_dir: cannot read {error.filename}: {error.strerror}") from error
                self._on_damage()
                self._log.error("spool lost to the disk", source=self._name, segment=segment, reason=error.strerror)
        if self._waiting:
            self._log.info("spool taken over", source=self._name, deliveries=self.depth, size_bytes=self.size)
            self.filled.set()

    def _take_segment(self, segment: int) -> None:
        for place, line in self._segments.lines(segment):
            self._sizes[segment] += place.length
            found = self._read(line)
            if isinstance(found, Delivery):
                self._waiting.append(Waiting(place, found.received_at))

    def _read(self, line: bytes) -> Delivery | MessageError:
        try:
            return delivery_of(line)
        except MessageError as error:
            self._on_damage()
            self._log.warning("damaged record passed over", source=self._name, reason=str(error))
            return error


def _fail(batch: Sequence[Appending], error: SpoolError) -> None:
    for one in batch:
        if not one.kept.done():
            one.kept.set_exception(error)
