"""An HTTP load generator that costs little itself: requests made beforehand, connections kept, nothing parsed twice."""

import asyncio
from collections import deque
from collections.abc import Sequence
from urllib.parse import urlsplit

from conveyor.servicekit.clock import SYSTEM_CLOCK

TICK_S = 0.001
_END = b"\r\n\r\n"


def request(path: str, headers: dict[str, str], body: bytes) -> bytes:
    """Return a POST as it goes over the wire."""
    lines = [f"POST {path} HTTP/1.1", "Host: benchmark", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + _END + body


class Sender(asyncio.Protocol):
    """One connection with one request under way; takes the next from the load it belongs to."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._unread = b""
        self._since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment] # a stream's transport writes
        self._load.ready(self)

    def send(self, content: bytes, since: float) -> None:
        """Send a request whose time began at `since`."""
        self._since = since
        self._transport.write(content)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        head, end, body = self._unread.partition(_END)
        if not end:
            return
        lowered = head.lower()
        length = int(lowered.partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._unread = b""
        if not lowered.startswith(self._load.expected):
            self._load.fail(f"unexpected answer: {(head + _END + body).decode(errors='replace')}")
            return
        self._load.answered(self, SYSTEM_CLOCK.monotonic() - self._since)

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.fail(f"the server hung up: {exc}")


class Load:
    """So many requests over so many connections: as fast as they are answered, or at a rate."""

    def __init__(self, requests: Sequence[bytes], rate: float = 0.0, expected: bytes = b"http/1.1 200") -> None:
        self.expected = expected
        self.latencies_s: list[float] = []
        """From when each was due; at full speed from when it was sent."""
        self._left = deque(requests)
        self._count = len(requests)
        self._rate = rate
        self._idle: deque[Sender] = deque()
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def ready(self, sender: Sender) -> None:
        """A connection has nothing to do."""
        if self._rate or not self._left:
            self._idle.append(sender)
        else:
            sender.send(self._left.popleft(), SYSTEM_CLOCK.monotonic())

    def answered(self, sender: Sender, latency_s: float) -> None:
        """A connection got its answer."""
        self.latencies_s.append(latency_s)
        if len(self.latencies_s) == self._count:
            self._done.set_result(None)
        else:
            self.ready(sender)

    def fail(self, why: str) -> None:
        """Nothing measured here would be worth anything."""
        if not self._done.done():
            self._done.set_exception(RuntimeError(why))

    async def run(self, url: str, connections: int) -> float:
        """Send everything and return requests per second; RuntimeError for any other answer than the expected."""
        place, loop = urlsplit(url), asyncio.get_running_loop()
        begun = SYSTEM_CLOCK.monotonic()
        made = [
            await loop.create_connection(lambda: Sender(self), place.hostname, place.port) for _ in range(connections)
        ]
        try:
            if self._rate:
                await self._pace()
            await self._done
            return self._count / (SYSTEM_CLOCK.monotonic() - begun)
        finally:
            for transport, _ in made:
                transport.abort()

    async def _pace(self) -> None:
        """Send each when it is due, or as soon after as a connection is free: the wait for one counts as latency."""
        begun, sent = SYSTEM_CLOCK.monotonic(), 0
        while self._left and not self._done.done():
            due = int((SYSTEM_CLOCK.monotonic() - begun) * self._rate)
            while sent < due and self._left and self._idle:
                self._idle.popleft().send(self._left.popleft(), begun + sent / self._rate)
                sent += 1
            await SYSTEM_CLOCK.sleep(TICK_S)
