"""A small web server: a deployed system that is well or not, or a chat that takes messages or not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from conveyor.simulator.http_server import HttpServer


class WebEnd:
    """Answers every request with `status`; while `hangs` is set it answers none."""

    def __init__(self) -> None:
        self.status = 200
        self.asked: list[tuple[int, str]] = []
        """What each request was answered, and its body."""
        self.retry_after_s = 0
        self._goes_on = asyncio.Event()
        self._goes_on.set()
        self.url = ""

    def hang(self) -> None:
        """Answer nobody until `go_on`."""
        self._goes_on.clear()

    def go_on(self) -> None:
        """Answer again, those as well who are waiting."""
        self._goes_on.set()

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        body = (await request.body()).decode()
        await self._goes_on.wait()
        self.asked.append((self.status, body))
        headers = {"Retry-After": str(self.retry_after_s)} if self.retry_after_s else {}
        return Response(status_code=self.status, headers=headers)


@asynccontextmanager
async def web_end() -> AsyncIterator[WebEnd]:
    """A server of its own on loopback until the block ends."""
    end = WebEnd()
    server = HttpServer(Starlette(routes=[Route("/", end.answer, methods=["GET", "POST"])]))
    await server.start()
    end.url = f"{server.url}/"
    try:
        yield end
    finally:
        end.go_on()
        await server.stop()
