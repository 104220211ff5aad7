"""What the tests of the simulated Plane stand on: a served Plane, a receiver of its webhooks, golden captures."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from conveyor.simulator.http_server import HttpServer
from conveyor.simulator.plane.server import PlaneOptions, PlaneServer
from conveyor.simulator.plane.world import Project, User

PLANE_SECRET = "plane_wh_67bf616d31e1404791d8d188b867ee67"


class PlaneReceiver:
    """Keeps the webhooks it is sent, parsed and raw, and answers the status it is told."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.raw: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.status = 200
        self.server = HttpServer(Starlette(routes=[Route("/plane", self.take, methods=["POST"])]))

    async def take(self, request: Request) -> Response:
        self.raw.append(await request.body())
        self.bodies.append(json.loads(self.raw[-1]))
        self.headers.append(dict(request.headers))
        return Response(status_code=self.status)

    @property
    def changes(self) -> list[tuple[str, str, str | None]]:
        return [(body["event"], body["action"], body["activity"]["field"]) for body in self.bodies]


class PlaneBench:
    """A served Plane with project RIG, a bot with a key, a receiver, and an HTTP client for the project's paths."""

    def __init__(self, plane: PlaneServer, receiver: PlaneReceiver) -> None:
        self.plane = plane
        self.receiver = receiver
        self.project: Project = plane.create_project("Rig Project", "RIG")
        self.bot: User = plane.add_user("orchestrator", is_bot=True)
        self.hook = plane.add_webhook(receiver.server.url + "/plane", secret=PLANE_SECRET)
        self.workspace = f"/api/v1/workspaces/{plane.slug}"
        self.path = f"{self.workspace}/projects/{self.project.id}"
        self.client = httpx.AsyncClient(base_url=plane.url, headers={"X-API-Key": self.bot.api_key})

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """A request; a path that does not start with / is the project's."""
        return await self.client.request(method, path if path.startswith("/") else f"{self.path}/{path}", **more)

    async def get(self, path: str, **query: Any) -> Any:
        answer = await self.ask("GET", path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def state_id(self, name: str) -> str:
        return self.plane.state(self.project, name).id


@pytest.fixture
async def plane_bench() -> AsyncIterator[PlaneBench]:
    receiver = PlaneReceiver()
    async with receiver.server, PlaneServer(PlaneOptions(slug="rig", retry_delay_s=0.001)) as plane:
        bench = PlaneBench(plane, receiver)
        async with bench.client:
            yield bench


@pytest.fixture
def plane_golden() -> Callable[[str], Any]:
    folder = Path(__file__).parent / "golden"
    return lambda name: json.loads((folder / f"{name}.json").read_text())
