"""The simulated Plane as tests and the demo meet it: REST behind real HTTP, webhooks out, and a person's verbs."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self
from uuid import uuid4

from starlette.routing import Route

from conveyor.simulator.clock import Clock
from conveyor.simulator.delivery import Courier
from conveyor.simulator.http_server import HttpServer
from conveyor.simulator.plane.control import control_routes
from conveyor.simulator.plane.door import Asked, Door
from conveyor.simulator.plane.people import People
from conveyor.simulator.plane.rate import Limiter
from conveyor.simulator.plane.routes import application
from conveyor.simulator.plane.webhooks import EVENTS, Webhook, Webhooks
from conveyor.simulator.plane.world import World


@dataclass(frozen=True)
class PlaneOptions:
    """How this Plane behaves: its limit per minute and key (None: no limit), seconds between a webhook's attempts."""

    slug: str = "acme"
    port: int = 0
    rate_limit: int | None = 60
    retry_delay_s: float = 0.01
    world: World | None = None
    """The world of an earlier life to go on with; None makes an empty one."""


class PlaneServer(People):
    """One workspace. `async with PlaneServer() as plane:` serves it; verbs also work before and after."""

    def __init__(self, options: PlaneOptions | None = None, clock: Clock | None = None) -> None:
        chosen = options or PlaneOptions()
        self.clock = clock or Clock()
        world = chosen.world or World(chosen.slug, self.clock)
        super().__init__(world, Webhooks(world, chosen.retry_delay_s))
        self.limiter = Limiter(self.clock, chosen.rate_limit)
        self._door = Door(self.tracker, self.limiter)
        control: list[Route] = control_routes(self, self.courier)
        self._http = HttpServer(application(self._door, control), port=chosen.port)

    @property
    def url(self) -> str:
        """Base URL without a trailing slash; REST lives under /api/v1/."""
        return self._http.url

    @property
    def slug(self) -> str:
        """The workspace's slug."""
        return self.world.slug

    @property
    def courier(self) -> Courier:
        """Who brings the webhooks: order faults, wait for idleness, look at deliveries."""
        return self.webhooks.courier

    @property
    def requests(self) -> list[Asked]:
        """Every REST request that met a route, with the status it was answered."""
        return self._door.log

    async def start(self) -> None:
        """Answer REST and deliver webhooks."""
        await self._http.start()
        await self.courier.start()

    async def stop(self) -> None:
        """Stop both; the world stays, and `start` brings it back under the same URL."""
        await self.courier.stop()
        await self._http.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        await self.stop()

    def listen_on(self, host: str, public_url: str = "") -> None:
        """Listen on this address from the next start, and be known under this URL."""
        self._http.listen_on(host, public_url)

    def add_webhook(self, url: str, *, secret: str | None = None, events: Iterable[str] = EVENTS) -> Webhook:
        """Subscribe a receiver to the whole workspace; a secret is made in Plane's form unless given."""
        hook = Webhook(url, secret or f"plane_wh_{uuid4().hex}", frozenset(events))
        self.webhooks.hooks.append(hook)
        return hook

    def answer_next(self, status: int, count: int = 1) -> None:
        """Answer the next REST requests with this status, whatever they ask."""
        self._door.troubles.extend([status] * count)

    def hold_history(self) -> None:
        """Keep activities and the move of `updated_at` back, as a busy worker does; webhooks still go out."""
        self.tracker.hold_history()

    def release_history(self) -> None:
        """Write what was held back."""
        self.tracker.release_history()

    def leftovers(self) -> list[str]:
        """What a tidy test must not leave: unmet faults, held or failed deliveries, webhooks switched off."""
        told = self.courier.leftovers()
        told += [f"answer never given: {status}" for status in self._door.troubles]
        told += [f"webhook switched off: {hook.url}" for hook in self.webhooks.hooks if not hook.is_active]
        return told
