"""Reading a stream in order without a trace of one's own: live pages, `logs -f`, histories, lists.

An ordered consumer: ephemeral, unacknowledged, made anew behind the last message seen whenever something is missing.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from enum import StrEnum

import msgspec
from nats.aio.msg import Msg

from conveyor.contracts.errors import PermanentError, TransientError
from conveyor.servicekit.bus import wire
from conveyor.servicekit.bus.connection import Bus
from conveyor.servicekit.bus.errors import ApiError
from conveyor.servicekit.bus.pull import Puller
from conveyor.servicekit.bus.wire import Message
from conveyor.servicekit.ending import cancel_until_ended

WINDOW = 256
"""How many messages are on their way at once; bounds memory, as a fast stream waits for a slow reader."""
LOOK_AFTER_S = 1.0
"""After this much silence a scan asks whether there is anything left to come."""
_INACTIVE_NS = 30 * 1_000_000_000


class Start(StrEnum):
    """Where reading begins; a sequence (the first to read) or an aware time do as well."""

    NEW = "new"
    """Only what is stored from now on."""
    ALL = "all"
    LATEST = "last_per_subject"
    """The last message of every subject, then everything new."""


class _Delivered(msgspec.Struct):
    consumer_seq: int = 0


class _ConsumerInfo(msgspec.Struct):
    name: str
    num_pending: int = 0
    delivered: _Delivered = msgspec.field(default_factory=_Delivered)


class _State(msgspec.Struct):
    last_seq: int = 0


class _StreamInfo(msgspec.Struct):
    state: _State


class _Reader:
    """One ordered reading of one stream."""

    def __init__(self, bus: Bus, stream: str, subjects: Sequence[str], start: Start | int | datetime) -> None:
        self._bus = bus
        self._stream = stream
        self._subjects = list(subjects)
        self._start = start
        self._consumer = ""
        self._seen = 0
        self._expected = 1
        self.pending: int | None = None
        """How many messages the first consumer had before it; None until it was made."""
        self.made = asyncio.Event()
        self.arrived: deque[Message] = deque()
        self.came = asyncio.Event()
        self.puller = Puller(bus, stream, self._make, self._take)

    async def delete(self) -> None:
        if self._consumer and self._bus.is_connected:
            with contextlib.suppress(TransientError):
                await self._bus.api(f"CONSUMER.DELETE.{self._stream}.{self._consumer}", timeout_s=1)

    async def has_all(self) -> bool:
        """Whether the server has nothing more for us now, and nothing on its way."""
        try:
            body = await self._bus.api(f"CONSUMER.INFO.{self._stream}.{self._consumer}")
        except TransientError:  # away, or the consumer is gone: it will be made anew and asked again
            return False
        info = msgspec.json.decode(body, type=_ConsumerInfo)
        return info.num_pending == 0 and info.delivered.consumer_seq < self._expected

    async def _make(self) -> str:
        await self.delete()
        config: dict[str, object] = {
            "ack_policy": "none",
            "replay_policy": "instant",
            "mem_storage": True,
            "num_replicas": 1,
            "inactive_threshold": _INACTIVE_NS,
            "filter_subjects": self._subjects,
            **await self._where(),
        }
        body = await self._created({"stream_name": self._stream, "config": config})
        info = msgspec.json.decode(body, type=_ConsumerInfo)
        self._consumer = info.name
        self._expected = 1
        if self.pending is None:
            self.pending = info.num_pending
            self.made.set()
        return info.name

    async def _created(self, request: dict[str, object]) -> bytes:
        try:
            return await self._bus.api(f"CONSUMER.CREATE.{self._stream}", request)
        except ApiError as error:
            if error.code == wire.STREAM_NOT_FOUND and self.pending is None:
                raise PermanentError(f"there is no stream {self._stream}") from error
            raise

    async def _where(self) -> dict[str, object]:
        if self._seen == 0 and self._start is Start.NEW:
            # Fixed once, so that a consumer made anew before the first message misses nothing.
            info = msgspec.json.decode(await self._bus.api(f"STREAM.INFO.{self._stream}"), type=_StreamInfo)
            self._start = info.state.last_seq + 1
        if self._seen:
            return {"deliver_policy": "by_start_sequence", "opt_start_seq": self._seen + 1}
        match self._start:
            case Start():
                return {"deliver_policy": str(self._start)}
            case datetime():
                return {"deliver_policy": "by_start_time", "opt_start_time": self._start.isoformat()}
            case _:
                return {"deliver_policy": "by_start_sequence", "opt_start_seq": max(self._start, 1)}

    def _take(self, message: Msg) -> None:
        at = wire.position(message)
        if at.consumer_seq != self._expected:
            self.puller.restart()
            return
        self._expected += 1
        self._seen = at.seq
        self.arrived.append(
            Message(
                subject=message.subject,
                seq=at.seq,
                at=at.at,
                body=message.data,
                headers=message.headers or {},
                pending=at.pending,
            )
        )
        self.came.set()


async def follow(
    bus: Bus, stream: str, subjects: Sequence[str], *, start: Start | int | datetime = Start.NEW
) -> AsyncIterator[Message]:
    """Yield messages in order, without gaps, for ever, across reconnects. Close the iterator to end it.

    `start` may be the sequence of the first message wanted: a page that was disconnected goes on behind its last one.
    """
    async for message in _read(_Reader(bus, stream, subjects, start), is_live=True):
        yield message


async def scan(
    bus: Bus, stream: str, subjects: Sequence[str], *, start: Start | int | datetime = Start.ALL
) -> AsyncIterator[Message]:
    """Yield the messages that are there now, in order, then end."""
    async for message in _read(_Reader(bus, stream, subjects, start), is_live=False):
        yield message


async def _read(reader: _Reader, *, is_live: bool) -> AsyncIterator[Message]:
    pulling = asyncio.create_task(reader.puller.run(), name="follow")
    try:
        await _happens(reader.made, pulling)
        if not is_live and not reader.pending:
            return
        reader.puller.want(WINDOW)
        while await _comes(reader, pulling, is_live=is_live):
            message = reader.arrived.popleft()
            yield message
            if not is_live and message.pending == 0:
                return
            reader.puller.want(1)
    finally:
        await cancel_until_ended(pulling)
        await reader.puller.stop()
        await reader.delete()


async def _comes(reader: _Reader, pulling: asyncio.Task[None], *, is_live: bool) -> bool:
    """Return once there is a message to read; False when a scan will get none: what it counted on was removed."""
    while not reader.arrived:
        reader.came.clear()
        if not await _happens(reader.came, pulling, None if is_live else LOOK_AFTER_S) and await reader.has_all():
            return False
    return True


async def _happens(event: asyncio.Event, pulling: asyncio.Task[None], timeout_s: float | None = None) -> bool:
    """Whether it happens in time; raises why when pulling fails first."""
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait({waiting, pulling}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if pulling.done() and not event.is_set():
        pulling.result()
        raise TransientError("reading ended")
    return event.is_set()
