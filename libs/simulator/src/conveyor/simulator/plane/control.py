"""A small JSON door for another process, such as the demo: the verbs of people under /_sim/, one POST each."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from conveyor.simulator.delivery import Courier
from conveyor.simulator.plane.people import People
from conveyor.simulator.plane.world import Comment, Issue

Verb = Callable[[dict[str, Any]], Any]


def control_routes(people: People, courier: Courier) -> list[Route]:
    """POST /_sim/<verb> with the verb's arguments as an object; answers what it made, 400 for what does not exist."""
    verbs: dict[str, Verb] = {
        "create_issue": lambda given: people.create_issue(_project(people, given), **given),
        "edit_issue": lambda given: people.edit_issue(given.pop("issue"), **given),
        "move_issue": lambda given: people.move_issue(given.pop("issue"), given.pop("state"), **given),
        "delete_issue": lambda given: people.delete_issue(given["issue"]),
        "comment": lambda given: people.comment(given.pop("issue"), given.pop("text"), **given),
        "drop_next": lambda given: courier.drop_next(**given),
        "duplicate_next": lambda given: courier.duplicate_next(**given),
    }

    async def act(request: Request) -> JSONResponse:
        verb = verbs.get(request.path_params["verb"])
        if verb is None:
            return JSONResponse({"error": f"verbs are {', '.join(verbs)}"}, 404)
        given = await request.json()
        if "by" in given:
            given["by"] = next(user for user in people.world.users.values() if user.display_name == given["by"])
        try:
            made = verb(given)
        except (LookupError, TypeError) as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse(_told(people, made))

    return [Route("/_sim/{verb}", act, methods=["POST"])]


def _project(people: People, given: dict[str, Any]) -> Any:
    identifier = given.pop("project")
    project = people.world.project_of_identifier(identifier)
    if project is None:
        raise LookupError(f"there is no project {identifier}")
    return project


def _told(people: People, made: Any) -> dict[str, str]:
    if isinstance(made, Issue):
        return {"id": made.id, "key": people.key_of(made)}
    return {"id": made.id} if isinstance(made, Comment) else {}
