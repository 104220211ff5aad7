"""Ends a connection without an answer: the one reply that makes Plane try again; any status is taken for done."""

from starlette.types import Receive, Send


async def hang_up(receive: Receive, send: Send) -> bool:
    """Reset the connection and return when the server has noticed; False under a server that is not uvicorn.

    `send` has to be the server's own, not one that a middleware wrapped.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        return False
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass
    return True
