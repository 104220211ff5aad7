"""REST routes of issues (work items): list, create, read, change, delete, and reading by key."""

from typing import Any

from conveyor.simulator.plane import paging, refusals, shapes
from conveyor.simulator.plane.door import Answer, Call
from conveyor.simulator.plane.shapes import Json
from conveyor.simulator.plane.world import ADMIN, PRIORITIES, Issue, with_external

MAX_NAME = 255


def _body(call: Call, issue: Issue) -> Json:
    whole = shapes.expanded(shapes.issue(issue, call.world), paging.names(call.query, "expand"), call.world)
    return paging.chosen_fields(whole, call.query)


def list_issues(call: Call) -> Answer:
    """GET work-items/: no filter works; an external pair answers one object instead of a page."""
    world, query = call.world, call.query
    issues = world.listed_issues(call.project.id)
    if query.get("external_id") and query.get("external_source"):
        found = with_external(issues, query["external_source"], query["external_id"])
        if found is None:
            raise refusals.not_found()
        return Answer(_body(call, found))
    rows = [shapes.issue(issue, world) for issue in issues]
    rows = paging.ordered(rows, query.get("order_by") or "-created_at", world)
    wanted = paging.names(query, "expand")
    return Answer(paging.page([shapes.expanded(row, wanted, world) for row in rows], query))


def create_issue(call: Call) -> Answer:
    """POST work-items/: a taken external pair answers 409 with the id of who has it."""
    values = call.body
    if "name" not in values:
        raise refusals.invalid("name", "This field is required.")
    _check(call, values)
    issues = [one for one in call.world.issues.values() if one.project_id == call.project.id]
    twin = with_external(issues, values.get("external_source"), values.get("external_id"))
    if twin is not None:
        text = "Issue with the same external id and external source already exists"
        raise refusals.error(409, text, id=twin.id)
    issue = call.tracker.create_issue(call.project, values, call.user, author(call))
    return Answer(_body(call, issue), 201)


def author(call: Call) -> str | None:
    """The author that any key may claim through `created_by`; None when it claims nobody known."""
    claimed = call.body.get("created_by")
    return claimed if claimed in call.world.users else None


def get_issue(call: Call) -> Answer:
    """GET one issue; drafts and archived ones are not there."""
    return Answer(_body(call, call.issue(readable=True)))


def patch_issue(call: Call) -> Answer:
    """PATCH: unknown keys (state_id too) are ignored; archived issues change as well."""
    issue = call.issue()
    _check(call, call.body)
    call.tracker.change_issue(issue, call.body, call.user)
    return Answer(_body(call, issue))


def delete_issue(call: Call) -> Answer:
    """DELETE: for admins and for who created it; no webhook."""
    issue = call.issue()
    if call.role < ADMIN and issue.created_by != call.user.id:
        raise refusals.error(403, "Only admin or creator can delete the work item")
    call.tracker.delete_issue(issue)
    return Answer(None, 204)


def get_by_key(call: Call) -> Answer:
    """GET by RIG-12: another case is forbidden, no such number is not found, no number at all breaks the server."""
    identifier, dash, number = str(call.place["key"]).partition("-")
    if not dash:
        raise refusals.no_page()
    project = call.world.project_of_identifier(identifier)
    if project is None or call.user.id not in project.members:
        raise refusals.not_permitted()
    if not number.isdecimal():
        raise refusals.crashed()
    issue = call.world.issue_of_number(project.id, int(number))
    if issue is None or issue.is_draft or issue.archived_at is not None:
        raise refusals.not_found()
    return Answer(_body(call, issue))


def search(call: Call) -> Answer:
    """GET work-items/search/: by name, number or project only."""
    text, world = call.query.get("search", "").lower(), call.world
    found = [
        {
            "name": issue.name,
            "id": issue.id,
            "sequence_id": issue.sequence_id,
            "project__identifier": project.identifier,
            "project_id": project.id,
            "workspace__slug": world.slug,
        }
        for project in world.projects.values()
        if call.user.id in project.members and call.query.get("project_id", project.id) == project.id
        for issue in world.listed_issues(project.id)
        if text and (text in issue.name.lower() or text in world.key_of(issue).lower())
    ]
    return Answer({"issues": found[: int(call.query.get("limit", "10"))]})


def _check(call: Call, values: dict[str, Any]) -> None:
    """Refuse what Plane's serializer refuses; strangers among labels and assignees are dropped later, silently."""
    name, priority = values.get("name"), values.get("priority", "none")
    if "name" in values and not name:
        raise refusals.invalid("name", "This field may not be blank.")
    if name and len(name) > MAX_NAME:
        raise refusals.invalid("name", f"Ensure this field has no more than {MAX_NAME} characters.")
    if priority not in PRIORITIES:
        raise refusals.invalid("priority", f'"{priority}" is not a valid choice.')
    if values.get("description_html") == "":
        raise refusals.invalid("non_field_errors", "Invalid HTML passed")
    if "state" in values:
        _check_state(call, values["state"])
    _check_parent(call, values.get("parent"))


def _check_state(call: Call, state_id: Any) -> None:
    state = call.world.states.get(str(state_id))
    if state is None:
        raise refusals.invalid("state", f'Invalid pk "{state_id}" - object does not exist.')
    if state.project_id != call.project.id:
        raise refusals.invalid("non_field_errors", "State is not valid please pass a valid state_id")


def _check_parent(call: Call, parent_id: Any) -> None:
    if parent_id is not None and str(parent_id) not in call.world.issues:
        raise refusals.invalid("parent", f'Invalid pk "{parent_id}" - object does not exist.')
