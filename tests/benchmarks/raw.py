"""The measure of P3: bare compare-and-set publishes over a socket, so many in flight, and nothing around them."""

import asyncio
from urllib.parse import urlsplit

from conveyor.servicekit.clock import SYSTEM_CLOCK

_CAS = "NATS/1.0\r\nNats-Expected-Last-Subject-Sequence: {}\r\n\r\n"


class RawPublishers(asyncio.Protocol):
    """`lanes` writers, each with its own subject and one publish in flight, which names the sequence of its last."""

    def __init__(self, subject: str, body: bytes, lanes: int, count: int) -> None:
        self._subject = subject
        self._body = body
        self._lanes = lanes
        self._left = count
        self._unacknowledged = count
        self._unread = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment] # a stream's transport writes
        self._transport.write(b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\nSUB a.* 1\r\n')
        self._transport.write(b"".join(self._publish(lane, 0) for lane in range(self._lanes)))

    def data_received(self, data: bytes) -> None:
        lines = (self._unread + data).split(b"\r\n")
        self._unread = lines.pop()
        following = []
        for number, line in enumerate(lines):
            if line.startswith((b"MSG ", b"HMSG ")):
                if number + 1 == len(lines):  # its body has not come yet
                    self._unread = line + b"\r\n" + self._unread
                    break
                following.append(self._acknowledged(line, lines[number + 1]))
            elif line == b"PING":
                following.append(b"PONG\r\n")
        self._transport.write(b"".join(following))
        if self._unacknowledged == 0 and not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("nats-server hung up"))

    def _acknowledged(self, head: bytes, body: bytes) -> bytes:
        if b'"seq":' not in body:
            raise ConnectionError(f"not stored: {body!r}")
        self._unacknowledged -= 1
        lane = int(head.split(b" ")[1].removeprefix(b"a."))
        return self._publish(lane, int(body.split(b'"seq":')[1].split(b",")[0].rstrip(b"} ")))

    def _publish(self, lane: int, last: int) -> bytes:
        if self._left == 0:
            return b""
        self._left -= 1
        headers = _CAS.format(last).encode()
        size = len(headers) + len(self._body)
        return b"HPUB %s.%d a.%d %d %d\r\n%s%s\r\n" % (
            self._subject.encode(),
            lane,
            lane,
            len(headers),
            size,
            headers,
            self._body,
        )


async def publishes_per_second(url: str, subject: str, body: bytes, *, in_flight: int, count: int) -> float:
    """Store `count` messages under `<subject>.<n>` and return how many were stored per second."""
    place = urlsplit(url)
    begun = SYSTEM_CLOCK.monotonic()
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(
        lambda: RawPublishers(subject, body, in_flight, count), place.hostname, place.port
    )
    try:
        await protocol.done
    finally:
        transport.close()
    return count / (SYSTEM_CLOCK.monotonic() - begun)
