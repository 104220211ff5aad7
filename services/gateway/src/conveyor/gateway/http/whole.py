"""Sends an answer in one write: uvicorn makes two, and each costs as much as most of what happens to a delivery.

Tells of a request, too, whether it has come whole; a deadline costs as much as its signature.
"""

from typing import Any

from starlette.types import Receive, Send


class Whole:
    """Stands before the connection while one answer is sent, and holds its head back until the body is there."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._held: bytes | None = None

    def write(self, content: bytes) -> None:
        """Take the head, then write it with the body; what comes behind is written as it comes."""
        if self._held is None:
            self._held = content
        else:
            self._transport.write(self._held + content)
            self._held = b""

    def flush(self) -> None:
        """Write a head that no body followed: the answer to HEAD has none."""
        if self._held:
            self._transport.write(self._held)
            self._held = b""

    def close(self) -> None:
        """Close the connection behind the answer."""
        self.flush()
        self._transport.close()


async def send_whole(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """Send an answer; under a server that is not uvicorn, in as many writes as that makes.

    `send` is best the server's own, not one that a middleware wrapped.
    """
    answering: Any = getattr(send, "__self__", None)
    whole = Whole(answering.transport) if hasattr(answering, "transport") else None
    if whole is not None:
        answering.transport = whole
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
    if whole is not None:
        whole.flush()


def has_come_whole(receive: Receive) -> bool:
    """Whether reading the request's body will wait for nothing, as under uvicorn when it came with its head.

    False where that cannot be told: under another server, or when `receive` is a middleware's.
    """
    return getattr(getattr(receive, "__self__", None), "more_body", True) is False
