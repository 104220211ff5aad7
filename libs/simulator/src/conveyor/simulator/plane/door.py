"""The way into every REST route of the simulated Plane: key, permission, rate limit, body, and how answers look."""

import json
import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from conveyor.simulator.plane import refusals
from conveyor.simulator.plane.rate import Limiter
from conveyor.simulator.plane.refusals import RefusalError
from conveyor.simulator.plane.tracker import Tracker
from conveyor.simulator.plane.world import GUEST, MEMBER, Issue, Project, User, World

WRITING = ("POST", "PATCH")


@dataclass(frozen=True)
class Call:
    """One admitted request: who asks, about which project, with what."""

    tracker: Tracker
    user: User
    place: Mapping[str, Any]
    query: Mapping[str, str]
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def world(self) -> World:
        """The world behind the tracker."""
        return self.tracker.world

    @property
    def project(self) -> Project:
        """The project in the path; the door has let only its members in."""
        return self.world.projects[str(self.place["project_id"])]

    @property
    def role(self) -> int:
        """The caller's role in the project of the path."""
        return self.project.members[self.user.id]

    def issue(self, *, readable: bool = False) -> Issue:
        """The issue in the path; `readable` hides drafts and archived ones, which writes still reach."""
        issue = self.world.issues.get(str(self.place["issue_id"]))
        hidden = readable and issue is not None and (issue.is_draft or issue.archived_at is not None)
        if issue is None or issue.project_id != self.project.id or hidden:
            raise refusals.not_found()
        return issue


@dataclass(frozen=True)
class Answer:
    """What a route answers; a body of None sends none."""

    body: Any
    status: int = 200


Handler = Callable[[Call], Answer]


@dataclass(frozen=True)
class Asked:
    """One request as it was answered."""

    method: str
    path: str
    status: int


@dataclass
class Door:
    """What all routes share; `troubles` are statuses that the next requests are answered with, whatever they ask."""

    tracker: Tracker
    limiter: Limiter
    log: list[Asked] = field(default_factory=list)
    troubles: deque[int] = field(default_factory=deque)

    def view(self, role: int = MEMBER, **handlers: Handler) -> "View":
        """A route that answers these methods; `role` is what a change needs, reading needs any."""
        return View(self, {name.upper(): handler for name, handler in handlers.items()}, role)


@dataclass
class View:
    """One route as an ASGI application, in the order of Plane's checks: key, permission, limit, method, body."""

    door: Door
    handlers: dict[str, Handler]
    role: int = MEMBER

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, then let the worker that writes history run."""
        request = Request(scope, receive)
        headers = {"Allow": ", ".join(self.handlers)}
        try:
            self._trouble()
            user = self._user(request)
            self._permit(user, request)
            headers |= self._admit(user)
            answer = await self._answer(user, request)
        except RefusalError as refusal:
            answer = Answer(refusal.body, refusal.status)
            headers |= refusal.headers
        self.door.log.append(Asked(request.method, request.url.path, answer.status))
        await rendered(answer, headers)(scope, receive, send)
        self.door.tracker.settle()

    def _trouble(self) -> None:
        if self.door.troubles:
            raise RefusalError(self.door.troubles.popleft(), {"error": "an ordered fault"})

    def _user(self, request: Request) -> User:
        key = request.headers.get("x-api-key")
        if not key:
            raise refusals.detail(401, "Authentication credentials were not provided.")
        user = self.door.tracker.world.user_of_key(key)
        if user is None:
            raise refusals.detail(403, "Given API token is not valid")
        return user

    def _permit(self, user: User, request: Request) -> None:
        world, place = self.door.tracker.world, request.path_params
        if place.get("slug", world.slug) != world.slug:
            raise refusals.not_permitted()
        if "project_id" not in place:
            return
        project = world.projects.get(str(place["project_id"]))
        role = project.members.get(user.id) if project else None
        if role is None or role < (GUEST if request.method == "GET" else self.role):
            raise refusals.not_permitted()

    def _admit(self, user: User) -> dict[str, str]:
        wait_s = self.door.limiter.admit(user.api_key)
        if wait_s is not None:
            body = {"error_code": 5900, "error_message": "RATE_LIMIT_EXCEEDED"}
            raise RefusalError(429, body, {"Retry-After": str(math.ceil(wait_s))})
        return self.door.limiter.success_headers(user.api_key)

    async def _answer(self, user: User, request: Request) -> Answer:
        handler = self.handlers.get(request.method)
        if handler is None:
            raise refusals.detail(405, f'Method "{request.method}" not allowed.')
        body = _parsed(await request.body()) if request.method in WRITING else {}
        return handler(Call(self.door.tracker, user, request.path_params, request.query_params, body))


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw or b"{}")
    except ValueError as error:
        raise refusals.detail(400, f"JSON parse error - {error}") from error
    if not isinstance(body, dict):
        raise refusals.invalid("non_field_errors", "Invalid data. Expected a dictionary, but got list.")
    return body


def rendered(answer: Answer, headers: dict[str, str]) -> Response:
    """The answer as bytes; compact JSON, but for the page that does not exist, which Django itself answers."""
    if answer.status == 404 and answer.body is None:
        return Response('{"error": "Page not found."}', 404, media_type="application/json")
    if answer.body is None:
        return Response(status_code=answer.status, headers=headers)
    text = json.dumps(answer.body, ensure_ascii=False, separators=(",", ":"))
    return Response(text, answer.status, headers, media_type="application/json")
