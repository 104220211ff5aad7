"""One kept delivery as one line of text: a checksum, a blank, JSON. What a crash cut off shows by it."""

import zlib
from datetime import datetime

import msgspec
from msgspec import Struct

from conveyor.contracts.errors import MessageError

_CHECKSUM_LENGTH = 8


class Delivery(Struct, frozen=True, kw_only=True):
    """A delivery whose signature was found good, as it came."""

    source: str
    headers: dict[str, str]
    """Those that the source's reader wants, by lower-case name; never the signature."""
    body: bytes
    received_at: datetime


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Delivery)


def line_of(delivery: Delivery) -> bytes:
    """Return the delivery as a line with its end; the body stands in it as base64, so no other line ends inside."""
    text = _encoder.encode(delivery)
    return b"%08x %s\n" % (zlib.crc32(text), text)


def delivery_of(line: bytes) -> Delivery:
    """Return the delivery in a line; MessageError for one that was cut off, overwritten or never was one."""
    claimed, text = line[:_CHECKSUM_LENGTH], line[_CHECKSUM_LENGTH + 1 : -1]
    if not line.endswith(b"\n") or claimed != b"%08x" % zlib.crc32(text):
        raise MessageError(f"{len(line)} bytes of the spool are no whole record")
    try:
        return _decoder.decode(text)
    except msgspec.MsgspecError as error:
        raise MessageError(f"a record of the spool cannot be read: {error}") from error
