"""`/healthz`, `/readyz` and `/metrics`: a small HTTP server in the service's own loop, or routes for a larger one."""

import asyncio
import contextlib
import inspect
import socket
from collections.abc import Awaitable, Callable, Iterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from conveyor.contracts.errors import ConveyorError, SettingsError
from conveyor.servicekit.metrics import CONTENT_TYPE, Metrics
from conveyor.servicekit.sections import HttpSettings

Check = Callable[[], Awaitable[str | None] | str | None]
CHECK_TIMEOUT_S = 2.0
START_TIMEOUT_S = 10.0


class Health:
    """Named checks that decide whether a service is ready. A check passes by returning nothing.

    It fails by returning the reason, by raising a ConveyorError, or by taking longer than 2 s.
    """

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}

    def check(self, name: str, check: Check) -> None:
        """Ask `check` whenever readiness is asked for; the same name replaces an earlier one."""
        self._checks[name] = check

    async def failures(self) -> dict[str, str]:
        """Return the reason of every check that fails now, by its name; empty when the service is ready."""
        names = tuple(self._checks)
        reasons = await asyncio.gather(*(_ask(self._checks[name]) for name in names))
        return {name: reason for name, reason in zip(names, reasons, strict=True) if reason}


async def _ask(check: Check) -> str | None:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            found = check()
            return await found if inspect.isawaitable(found) else found
    except ConveyorError as error:
        return str(error)
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT_S:g} s"


def routes(health: Health, metrics: Metrics) -> list[Route]:
    """Return the three routes, to be mounted in an application of the service's own."""

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_request: Request) -> Response:
        failures = await health.failures()
        body = {"status": "unready" if failures else "ready", "failures": failures}
        return JSONResponse(body, status_code=503 if failures else 200)

    async def numbers(_request: Request) -> Response:
        return Response(metrics.page(), headers={"content-type": CONTENT_TYPE})

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", numbers)]


class HttpServer:
    """Serves an application with uvicorn in this loop and leaves signals to the lifecycle.

    `await start()`, then `url`; `await stop()` lets requests in flight finish.
    """

    def __init__(self, app: ASGIApp, settings: HttpSettings, *, grace_s: int = 5) -> None:
        self._settings = settings
        self._port = settings.port
        self._task: asyncio.Task[None] | None = None
        self._server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                server_header=False,
                timeout_graceful_shutdown=grace_s,
            )
        )

    @property
    def port(self) -> int:
        """The port it listens on; 0 before it has started on a free one."""
        return self._port

    @property
    def url(self) -> str:
        """Base URL without a trailing slash."""
        return f"http://{self._settings.host}:{self._port}"

    async def start(self) -> None:
        """Return once requests are answered; SettingsError when the address cannot be had."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self._settings.host, self._settings.port))
        except OSError as error:
            listener.close()
            place = f"{self._settings.host}:{self._settings.port}"
            raise SettingsError(f"cannot listen on {place}: {error.strerror}") from error
        self._port = listener.getsockname()[1]
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]), name="http")
        async with asyncio.timeout(START_TIMEOUT_S):
            await self._server.ready.wait()

    async def stop(self) -> None:
        """Stop listening, finish what is being answered; calling it again changes nothing."""
        task, self._task = self._task, None
        if task is not None:
            self._server.should_exit = True
            await task


class _Server(uvicorn.Server):
    """A uvicorn that leaves the process's signals alone and says when it is ready."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


def health_server(health: Health, metrics: Metrics, settings: HttpSettings) -> HttpServer:
    """Return a server for the three routes alone."""
    return HttpServer(Starlette(routes=routes(health, metrics)), settings)
