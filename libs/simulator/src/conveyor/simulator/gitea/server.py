"""The simulated Gitea as one object: starts and stops, serves REST and git, and carries the person's verbs."""

import asyncio
import tempfile
from pathlib import Path
from typing import Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from conveyor.simulator.clock import Clock
from conveyor.simulator.delivery import Courier
from conveyor.simulator.gitea import (
    rest_contents,
    rest_hooks,
    rest_pulls,
    rest_repos,
    rest_reviews,
    rest_statuses,
    rest_users,
)
from conveyor.simulator.gitea.faults import RestFaults
from conveyor.simulator.gitea.flavour import GITEA, Flavour
from conveyor.simulator.gitea.forge import Forge, Timing
from conveyor.simulator.gitea.git_http import GitHttp
from conveyor.simulator.gitea.person import Person
from conveyor.simulator.gitea.rest import build_routes
from conveyor.simulator.http_server import HttpServer

CHAPTERS = (rest_users, rest_repos, rest_contents, rest_statuses, rest_reviews, rest_hooks, rest_pulls)


class GiteaServer(Person):
    """A Gitea on loopback with real repositories in `root` (default: a folder that goes when it stops for good).

    Use it as an async context manager. `courier` loses, doubles, delays and reorders webhooks when asked to,
    `rest_faults` makes REST calls fail, `timing` says how slow the mergeable check is, `flavour` makes it a Forgejo.
    """

    def __init__(
        self,
        root: Path | None = None,
        *,
        clock: Clock | None = None,
        timing: Timing | None = None,
        port: int = 0,
        flavour: Flavour = GITEA,
    ) -> None:
        self._folder = None if root is not None else tempfile.TemporaryDirectory(prefix="conveyor-gitea-")
        place = root if root is not None else Path(self._folder.name if self._folder else "")
        super().__init__(Forge(place, clock or Clock(), timing or Timing(), flavour))
        self._http = HttpServer(self._app(), port=port)

    def _app(self) -> Starlette:
        endpoints = [endpoint for chapter in CHAPTERS for endpoint in chapter.endpoints()]
        routes = [*build_routes(self.forge, endpoints), *GitHttp(self.forge).routes()]
        return Starlette(routes=routes, exception_handlers={404: _not_found})

    @property
    def url(self) -> str:
        """The server's base URL."""
        return self._http.url

    def listen_on(self, host: str, public_url: str = "") -> None:
        """Listen on this address from the next start, and be known under this URL, in answers too."""
        self._http.listen_on(host, public_url)

    @property
    def courier(self) -> Courier:
        """Who carries the webhooks: its record of deliveries and its faults."""
        return self.forge.notifier.courier

    @property
    def rest_faults(self) -> RestFaults:
        """Refusals to order from the REST interface."""
        return self.forge.rest_faults

    @property
    def timing(self) -> Timing:
        """How slow the mergeable check is; may be changed while running."""
        return self.forge.timing

    def clone_url(self, repo: str, *, user: str | None = None, password: str | None = None) -> str:
        """Return the address to clone from, with credentials in it if given."""
        scheme, _, rest = self.url.partition("://")
        login = f"{user}:{password or self.forge.world.user(user).password}@" if user else ""
        return f"{scheme}://{login}{rest}/{repo}.git"

    async def start(self) -> None:
        """Listen on loopback and begin to deliver webhooks."""
        await self._http.start()
        self.forge.shapes.url = self._http.url
        await self.courier.start()

    async def stop(self) -> None:
        """Stop listening and delivering; the world stays, so that `start` continues with it on the same port."""
        await self._http.stop()
        await self.forge.abandon()
        await self.courier.stop()

    async def settled(self, timeout_s: float = 20.0) -> None:
        """Wait until no check, CI run or delivery is under way; raises what went wrong in the background.

        Raises:
            TimeoutError: something was still under way after `timeout_s` seconds.
        """
        async with asyncio.timeout(timeout_s):
            await self.forge.settled()
            await self.courier.idle(timeout_s)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        await self.stop()
        if self._folder is not None:
            self._folder.cleanup()


async def _not_found(_request: Request, _failure: Exception) -> Response:
    return JSONResponse({"message": "Not Found", "url": ""}, 404)
