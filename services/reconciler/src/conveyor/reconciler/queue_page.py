"""`/queue`, beside `/healthz`: what the last pass did, whichever of several reconcilers made it (RC-10)."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from conveyor.contracts.errors import TransientError
from conveyor.reconciler.last_pass import LastPass, last_pass
from conveyor.reconciler.ports import Notes


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """The page."""

    enabled: bool
    """Whether passes are made at all."""
    last_pass: LastPass | None = None


def queue_page(notes: Notes, *, enabled: bool) -> Route:
    """Return the page; it answers 503 while the bus cannot be asked."""

    async def queue(_request: Request) -> Response:
        try:
            body: object = Queue(enabled=enabled, last_pass=await last_pass(notes))
        except TransientError as error:
            return _json({"status": "unavailable", "reason": str(error)}, 503)
        return _json(body)

    return Route("/queue", queue)


def _json(body: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")
