"""The frame of Gitea's REST interface: one call with its caller, repository and body; refusals, paging and routes."""

import dataclasses
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from conveyor.simulator.gitea.auth import Caller, authenticate
from conveyor.simulator.gitea.forge import Forge
from conveyor.simulator.gitea.merge import MergeConflictRefusalError
from conveyor.simulator.gitea.world import Permission, Pull, RefusalError, Repo, User

Item = TypeVar("Item")
DEFAULT_PAGE, MAX_PAGE = 30, 50  # Gitea's DEFAULT_PAGING_NUM and MAX_RESPONSE_ITEMS


@dataclasses.dataclass
class Call:
    """One request on its way to an endpoint."""

    forge: Forge
    request: Request
    caller: Caller
    body: dict[str, Any]

    @property
    def path(self) -> dict[str, Any]:
        """The values in the address."""
        return self.request.path_params

    @property
    def query(self) -> dict[str, str]:
        """The values behind the question mark; unknown ones are ignored by every endpoint."""
        return dict(self.request.query_params)

    @property
    def user(self) -> User:
        """The caller; a stranger is refused with 401."""
        return self.caller.known()

    @property
    def repo(self) -> Repo:
        """The repository in the address."""
        return self.forge.world.repo(f"{self.path['owner']}/{self.path['repo']}")

    @property
    def pull(self) -> Pull:
        """The pull request in the address."""
        return self.forge.world.pull(self.repo, self.path["number"])

    def word(self, key: str, default: str = "") -> str:
        """A text of the body; null and missing are the default."""
        value = self.body.get(key)
        return default if value is None else str(value)

    def page(self, items: Sequence[Item]) -> tuple[list[Item], dict[str, str]]:
        """Cut the asked page out and return it with the paging headers."""
        limit = min(self._number("limit") or DEFAULT_PAGE, MAX_PAGE)
        number = max(self._number("page"), 1)
        headers = {"X-Total-Count": str(len(items)), "Access-Control-Expose-Headers": "X-Total-Count, Link"}
        links = []
        last = -(-len(items) // limit)
        if number < last:
            links += [self._link(number + 1, limit, "next"), self._link(last, limit, "last")]
        if number > 1:
            links += [self._link(1, limit, "first"), self._link(number - 1, limit, "prev")]
        if links:
            headers["Link"] = ",".join(links)
        return list(items[(number - 1) * limit : number * limit]), headers

    def _number(self, name: str) -> int:
        text = self.query.get(name, "")
        return int(text) if text.isascii() and text.isdigit() else 0

    def _link(self, number: int, limit: int, name: str) -> str:
        return f'<{self.forge.shapes.url}{self.request.url.path}?limit={limit}&page={number}>; rel="{name}"'


Handler = Callable[[Call], Awaitable[Response]]


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """An address below `/api/v1`, what answers there, and what the caller must be allowed."""

    method: str
    path: str
    handler: Handler
    permission: Permission | None = None
    scope: str = ""


def in_repo(method: str, path: str, handler: Handler, permission: Permission, scope: str = "repository") -> Endpoint:
    """Return an endpoint below a repository; reading needs the read scope, everything else the write scope."""
    verb = "read" if method == "GET" else "write"
    return Endpoint(method, "/repos/{owner}/{repo}" + path, handler, permission, f"{verb}:{scope}")


def build_routes(forge: Forge, endpoints: Sequence[Endpoint]) -> list[Route]:
    """Turn endpoints into routes that authenticate, admit and answer refusals as Gitea does."""
    return [Route("/api/v1" + one.path, _answer(forge, one), methods=[one.method]) for one in endpoints]


def _answer(forge: Forge, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            forge.rest_faults.strike(f"{request.method} {request.url.path}")
            call = await _call(forge, request)
            _admit(call, endpoint)
            return await endpoint.handler(call)
        except RefusalError as refusal:
            message = "" if refusal.status == 500 else refusal.message
            return JSONResponse({"message": message, "url": f"{forge.shapes.url}/api/swagger"}, refusal.status)
        except MergeConflictRefusalError as conflict:
            body = {"Style": conflict.style, "StdOut": "", "StdErr": conflict.said, "Err": {}}
            return JSONResponse(body, 409)

    return answer


async def _call(forge: Forge, request: Request) -> Call:
    caller = authenticate(forge.world, request.headers.get("authorization"), is_strict=forge.flavour.is_forgejo)
    raw = await request.body()
    try:
        body = json.loads(raw) if raw.strip() else {}
    except ValueError as failure:
        raise RefusalError(422, f"[]: invalid JSON: {failure}") from failure
    if not isinstance(body, dict):
        raise RefusalError(422, "[]: an object is expected")
    return Call(forge, request, caller, body)


def _admit(call: Call, endpoint: Endpoint) -> None:
    if endpoint.scope and call.caller.user is not None:
        call.caller.need(endpoint.scope)
    if endpoint.permission is None:
        return
    repo = call.repo
    if not repo.allows(call.caller.user, "read"):
        # A private repository does not admit that it exists.
        raise RefusalError(404, "The target couldn't be found.")
    if endpoint.permission != "read" and call.caller.user is None:
        raise RefusalError(401, "token is required")
    if not repo.allows(call.caller.user, endpoint.permission):
        raise RefusalError(403, f"user should have a permission to {endpoint.permission} this repo")
    # The repository itself can still be changed (how else would it come back) and removed.
    if repo.archived and call.request.method != "GET" and endpoint.path != "/repos/{owner}/{repo}":
        raise RefusalError(423, f"{repo.full_name} is archived")
