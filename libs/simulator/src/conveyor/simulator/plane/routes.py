"""The table of REST routes, and what Django does with addresses: slashes appended by redirect, one body for no page."""

from collections.abc import Iterable
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from conveyor.simulator.plane import refusals
from conveyor.simulator.plane import rest_issues as issues
from conveyor.simulator.plane import rest_links as links
from conveyor.simulator.plane import rest_project as projects
from conveyor.simulator.plane import rest_threads as threads
from conveyor.simulator.plane.door import Answer, Door, View, rendered
from conveyor.simulator.plane.world import GUEST

WORKSPACE = "/api/v1/workspaces/{slug}"
SHRINKS_FROM = 200  # bytes, as Django does it for who accepts gzip
PROJECT = WORKSPACE + "/projects/{project_id:uuid}"


def application(door: Door, more: Iterable[BaseRoute] = ()) -> Starlette:
    """The whole API as one application, with more routes where wanted."""
    table = [*_project_routes(door).items()]
    for noun in ("issues", "work-items"):
        table += _issue_routes(door, noun).items()
    table.append((PROJECT + "/work-items/{issue_id:uuid}/relations/", _relations(door)))
    routes: list[BaseRoute] = [*(Route(path, view) for path, view in table), _sessions_only(), *more]

    async def no_page(request: Request, _error: Exception) -> Response:
        if not request.url.path.endswith("/") and _leads_somewhere(routes, request.scope):
            query = f"?{request.url.query}" if request.url.query else ""
            return Response(
                status_code=301, headers={"Location": quote(request.url.path) + "/" + query}, media_type="text/html"
            )
        return rendered(Answer(None, 404), {})

    shrink = Middleware(GZipMiddleware, minimum_size=SHRINKS_FROM, compresslevel=6)
    app = Starlette(routes=routes, middleware=[shrink], exception_handlers={404: no_page})
    app.router.redirect_slashes = False
    return app


def _sessions_only() -> Route:
    """The web page's own API refuses every API key: webhooks are registered by people."""

    async def refuse(_request: Request) -> Response:
        refusal = refusals.detail(401, "Authentication credentials were not provided.")
        return rendered(Answer(refusal.body, refusal.status), {"Allow": "GET, POST, PATCH, DELETE, HEAD, OPTIONS"})

    return Route("/api/workspaces/{slug}/webhooks/", refuse, methods=["GET", "POST", "PATCH", "DELETE"])


def _leads_somewhere(routes: list[BaseRoute], scope: Scope) -> bool:
    slashed = {**scope, "path": scope["path"] + "/"}
    return any(route.matches(slashed)[0] is Match.FULL for route in routes)


def _project_routes(door: Door) -> dict[str, View]:
    members = door.view(get=projects.project_members, post=projects.add_project_member)
    return {
        "/api/v1/users/me/": door.view(get=projects.me),
        WORKSPACE + "/members/": door.view(get=projects.workspace_members),
        WORKSPACE + "/projects/": door.view(get=projects.list_projects, post=projects.create_project),
        PROJECT + "/": door.view(
            get=projects.get_project, patch=projects.patch_project, delete=projects.delete_project
        ),
        PROJECT + "/members/": members,
        PROJECT + "/project-members/": members,
        PROJECT + "/states/": door.view(get=projects.list_states, post=projects.create_state),
        PROJECT + "/states/{state_id:uuid}/": door.view(
            get=projects.get_state, patch=projects.patch_state, delete=projects.delete_state
        ),
        PROJECT + "/labels/": door.view(get=projects.list_labels, post=projects.create_label),
        PROJECT + "/labels/{label_id:uuid}/": door.view(get=projects.get_label, delete=projects.delete_label),
    }


def _issue_routes(door: Door, noun: str) -> dict[str, View]:
    one = PROJECT + f"/{noun}/{{issue_id:uuid}}"
    return {
        WORKSPACE + f"/{noun}/search/": door.view(get=issues.search),
        WORKSPACE + f"/{noun}/{{key}}/": door.view(get=issues.get_by_key),
        PROJECT + f"/{noun}/": door.view(get=issues.list_issues, post=issues.create_issue),
        one + "/": door.view(get=issues.get_issue, patch=issues.patch_issue, delete=issues.delete_issue),
        one + "/comments/": door.view(GUEST, get=threads.list_comments, post=threads.create_comment),
        one + "/comments/{comment_id:uuid}/": door.view(
            GUEST, get=threads.get_comment, patch=threads.patch_comment, delete=threads.delete_comment
        ),
        one + "/links/": door.view(get=links.list_links, post=links.create_link),
        one + "/links/{link_id:uuid}/": door.view(get=links.get_link, delete=links.delete_link),
        one + "/activities/": door.view(get=threads.list_activities),
        one + "/activities/{activity_id:uuid}/": door.view(get=threads.get_activity),
    }


def _relations(door: Door) -> View:
    """Only under work-items, and without any way to delete one."""
    return door.view(get=threads.list_relations, post=threads.create_relations)
