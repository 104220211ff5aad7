"""JetStream's own messages: acknowledgement of a publish, a stored message, where a delivery stands."""

from datetime import UTC, datetime

import msgspec
from msgspec import Struct
from nats.aio.msg import Msg

from conveyor.servicekit.bus.connection import REQUEST_TIMEOUT_S, Bus
from conveyor.servicekit.bus.errors import ApiError, Conflict, raise_for_error

EXPECTED_LAST = "Nats-Expected-Last-Subject-Sequence"
MSG_ID = "Nats-Msg-Id"
TTL = "Nats-TTL"
NO_MESSAGE = 10037
STREAM_NOT_FOUND = 10059
CONSUMER_NOT_FOUND = 10014
WRONG_LAST = 10071
WRITE_IN_FLIGHT = 10164
_TOKENS = 9
"""Of `$JS.ACK.…`; more when it names a domain and an account."""


class Ack(Struct, frozen=True):
    """JetStream's word that a message is stored."""

    seq: int = 0
    duplicate: bool = False
    stream: str = ""


class Stored(Struct, frozen=True):
    """Where a message ended: its sequence, and whether it was there already."""

    seq: int
    duplicate: bool


class Message(Struct, frozen=True):
    """A message as it lies in a stream."""

    subject: str
    seq: int
    at: datetime
    """When the server stored it; aware, UTC."""
    body: bytes
    headers: dict[str, str]
    pending: int = 0
    """How many more there were behind it when it was read; 0 for a single read."""


class Raw(Struct):
    """A message as STREAM.MSG.GET gives it."""

    subject: str
    seq: int
    time: datetime
    data: bytes = b""
    hdrs: bytes = b""


class _Got(Struct):
    message: Raw


_ack = msgspec.json.Decoder(Ack)
_got = msgspec.json.Decoder(_Got)


async def publish(
    bus: Bus, subject: str, body: bytes, headers: dict[str, str], timeout_s: float = REQUEST_TIMEOUT_S
) -> Ack:
    """Store a message and return JetStream's acknowledgement; Conflict when an expected sequence did not match."""
    answer = await bus.request(subject, body, headers, timeout_s)
    try:
        raise_for_error(answer.data, subject)
    except ApiError as error:
        if error.code in (WRONG_LAST, WRITE_IN_FLIGHT):
            raise Conflict(f"{subject}: somebody else wrote first ({error.code})") from error
        raise
    return _ack.decode(answer.data)


async def read_raw(bus: Bus, stream: str, query: dict[str, object]) -> Raw | None:
    """As `read`, with the headers left as bytes: for the paths that every event takes."""
    try:
        body = await bus.api(f"STREAM.MSG.GET.{stream}", query)
    except ApiError as error:
        if error.code == NO_MESSAGE:
            return None
        raise
    return _got.decode(body).message


async def read(bus: Bus, stream: str, query: dict[str, object]) -> Message | None:
    """Return one message, asked of the stream's leader; None when there is none.

    `query` is the body of STREAM.MSG.GET: `last_by_subj`, or `seq` with `next_by_subj`, or `seq` alone.
    """
    raw = await read_raw(bus, stream, query)
    if raw is None:
        return None
    return Message(subject=raw.subject, seq=raw.seq, at=raw.time, body=raw.data, headers=parse_headers(raw.hdrs))


def parse_headers(raw: bytes) -> dict[str, str]:
    """Return the headers of a stored message by name."""
    pairs = (line.partition(":") for line in raw.decode("utf-8", "replace").split("\r\n")[1:] if line)
    return {name: value.strip() for name, _, value in pairs}


class Position(Struct, frozen=True):
    """What the reply subject of a delivery tells."""

    delivered: int
    seq: int
    consumer_seq: int
    stream: str
    consumer: str
    at: datetime
    pending: int


def position(message: Msg) -> Position:
    """Return where a delivered message stands, read from its reply subject."""
    tokens = message.reply.split(".")
    fields = tokens[2:9] if len(tokens) == _TOKENS else tokens[4:11]
    stream, consumer, delivered, seq, consumer_seq, nanoseconds, pending = fields
    return Position(
        delivered=int(delivered),
        seq=int(seq),
        consumer_seq=int(consumer_seq),
        stream=stream,
        consumer=consumer,
        at=datetime.fromtimestamp(int(nanoseconds) // 1000 / 1e6, tz=UTC),
        pending=int(pending),
    )
