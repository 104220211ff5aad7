"""Reading a stream in order without a trace of one's own: live pages, `logs -f`, histories, lists.

An ordered consumer: ephemeral, unacknowledged, made anew behind the last message seen whenever something is missing.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

import msgspec
from nats.aio.msg import Msg

from conveyor.contracts.errors import PermanentError, TransientError
from conveyor.servicekit.bus import wire
from conveyor.servicekit.bus.connection import Bus
from conveyor.servicekit.bus.errors import ApiError
from conveyor.servicekit.bus.pull import Puller
from conveyor.servicekit.bus.wire import Message

WINDOW = 256
"""How many messages are on their way at once; bounds memory, as a fast stream waits for a slow reader."""
_INACTIVE_NS = 30 * 1_000_000_000


class Start(StrEnum):
    """Where reading begins; a sequence (the first to read) or an aware time do as well."""

    NEW = "new"
    """Only what is stored from now on."""
    ALL = "all"
    LATEST = "last_per_subject"
    """The last message of every subject, then everything new."""


class _ConsumerInfo(msgspec.Struct):
    name: str
    num_pending: int = 0


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
        self.queue: asyncio.Queue[Message] = asyncio.Queue()
        self.puller = Puller(bus, stream, self._make, self._take)

    async def delete(self) -> None:
        if self._consumer and self._bus.is_connected:
            with contextlib.suppress(TransientError):
                await self._bus.api(f"CONSUMER.DELETE.{self._stream}.{self._consumer}", timeout_s=1)

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
        self.queue.put_nowait(
            Message(
                subject=message.subject,
                seq=at.seq,
                at=at.at,
                body=message.data,
                headers=message.headers or {},
                pending=at.pending,
            )
        )


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


T = TypeVar("T")


async def _first_of(wanted: Coroutine[Any, Any, T], pulling: asyncio.Task[None]) -> T:
    """Return what is waited for, unless pulling fails first: then raise why."""
    task = asyncio.create_task(wanted)
    try:
        await asyncio.wait({task, pulling}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            pulling.result()
            raise TransientError("reading ended")
        return task.result()
    finally:
        task.cancel()


async def _read(reader: _Reader, *, is_live: bool) -> AsyncIterator[Message]:
    pulling = asyncio.create_task(reader.puller.run(), name="follow")
    try:
        await _first_of(reader.made.wait(), pulling)
        if not is_live and not reader.pending:
            return
        reader.puller.want(WINDOW)
        while True:
            if reader.queue.empty():
                message = await _first_of(reader.queue.get(), pulling)
            else:
                message = reader.queue.get_nowait()
            yield message
            if not is_live and message.pending == 0:
                return
            reader.puller.want(1)
    finally:
        pulling.cancel()
        await asyncio.wait({pulling})
        await reader.puller.stop()
        await reader.delete()
