"""Ends a connection without an answer: the one reply that makes Plane try again; any status is taken for done."""

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

SCOPE_KEY = "conveyor.send"


class RawSend:
    """Outermost middleware: keeps the server's own `send` in the scope, since others wrap it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with the server's `send` in the scope."""
        scope[SCOPE_KEY] = (receive, send)
        await self._app(scope, receive, send)


class HangUp(JSONResponse):
    """Closes the connection under uvicorn; answers with its status (503) under any other server."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reset the connection and return when the server has noticed."""
        server_receive, server_send = scope.get(SCOPE_KEY, (receive, send))
        transport = getattr(getattr(server_send, "__self__", None), "transport", None)
        if transport is None:
            await super().__call__(scope, receive, send)
            return
        transport.abort()
        while (await server_receive())["type"] != "http.disconnect":
            pass
