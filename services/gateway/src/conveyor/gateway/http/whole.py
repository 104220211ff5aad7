"""Sends an answer in one write: uvicorn makes two, and each costs as much as most of what happens to a delivery."""

from typing import Any

from starlette.types import Send


class Whole:
    """Stands before the connection while one answer is sent, and holds its head back until the body is there."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._head = b""

    def write(self, content: bytes) -> None:
        """Take the head, then write it with the body."""
        if self._head:
            self._transport.write(self._head + content)
        else:
            self._head = content

    def close(self) -> None:
        """Close the connection behind the answer."""
        self._transport.close()


async def send_whole(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """Send an answer whose body is not empty; under a server that is not uvicorn, in as many writes as that makes.

    `send` is best the server's own, not one that a middleware wrapped.
    """
    answering: Any = getattr(send, "__self__", None)
    if hasattr(answering, "transport"):
        answering.transport = Whole(answering.transport)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
