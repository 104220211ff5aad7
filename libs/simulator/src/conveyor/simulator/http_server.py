"""Runs an ASGI application behind real HTTP inside this process: what every simulator stands on."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Self

import uvicorn
from starlette.types import ASGIApp

LOOPBACK = "127.0.0.1"
START_TIMEOUT_S = 10.0


class _QuietServer(uvicorn.Server):
    """A uvicorn that leaves the process's signals alone and says when it is ready."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self.ending = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Touch no signal handler: the process belongs to the test or to the CLI."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does, then tell who waits."""
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        """Wait to be ended instead of looking ten times a second, which would slow down every test."""
        await self.ending.wait()


class HttpServer:
    """Serves one application, on loopback unless `listen_on` says otherwise; port 0 takes a free port and keeps it."""

    def __init__(self, app: ASGIApp, *, host: str = LOOPBACK, port: int = 0) -> None:
        self._app = app
        self._host = host
        self._port = port
        self._public_url = ""
        self._server: _QuietServer | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Base URL without a trailing slash; known once the server has started."""
        if self._public_url:
            return self._public_url
        if self._port == 0:
            raise RuntimeError("the server has no port before its first start")
        return f"http://{self._host}:{self._port}"

    def listen_on(self, host: str, public_url: str = "") -> None:
        """Listen on this address from the next start, and be known under this URL, as behind a name in a network."""
        self._host, self._public_url = host, public_url.rstrip("/")

    async def start(self) -> None:
        """Listen and return once requests are answered; an OSError if the port is taken."""
        # Named TCP, or asyncio leaves Nagle's algorithm on and every answer takes 40 ms.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self._host, self._port))
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=1,
        )
        server = self._server = _QuietServer(config)
        self._task = asyncio.create_task(server.serve(sockets=[listener]), name=f"http-server-{self._port}")
        async with asyncio.timeout(START_TIMEOUT_S):
            await server.ready.wait()

    async def stop(self) -> None:
        """Close listener and connections; calling it twice is fine."""
        if self._server is None or self._task is None:
            return
        self._server.ending.set()
        await self._task
        self._server = self._task = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        await self.stop()
