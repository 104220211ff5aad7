"""REST routes around a project: who am I, projects, members, states, labels."""

from conveyor.simulator.plane import paging, refusals, shapes
from conveyor.simulator.plane.door import Answer, Call
from conveyor.simulator.plane.refusals import RefusalError
from conveyor.simulator.plane.shapes import Json
from conveyor.simulator.plane.world import (
    ADMIN,
    PLANE_STATES,
    STATE_GROUPS,
    Label,
    Project,
    State,
    new_id,
    with_external,
)

REQUIRED = "This field is required."


def me(call: Call) -> Answer:
    """GET users/me/."""
    return Answer(shapes.user(call.user))


def list_projects(call: Call) -> Answer:
    """GET projects/: public ones too where the caller is no member."""
    rows = [shapes.project(one, call.world, call.user) for one in call.world.projects.values()]
    return Answer(paging.page(rows, call.query))


def create_project(call: Call) -> Answer:
    """POST projects/: brings Plane's own five states."""
    name, identifier = call.body.get("name"), call.body.get("identifier")
    if not name or not identifier:
        raise refusals.invalid("name" if not name else "identifier", REQUIRED)
    for field, value in (("name", name), ("identifier", identifier)):
        if any(getattr(one, field) == value for one in call.world.projects.values()):
            raise RefusalError(409, {field: f"The project {field} is already taken"})
    project = call.tracker.create_project(name, identifier, PLANE_STATES, call.user)
    return Answer(_written(call, project), 201)


def get_project(call: Call) -> Answer:
    """GET one project."""
    return Answer(shapes.project(call.project, call.world, call.user))


def patch_project(call: Call) -> Answer:
    """PATCH a project's name, description or switches, as its admin; other keys are ignored."""
    if call.role < ADMIN:
        raise refusals.not_permitted()
    project = call.project
    for field in ("name", "description"):
        setattr(project, field, call.body.get(field, getattr(project, field)))
    views = {
        key: value for key, value in call.body.items() if key.endswith(("_view", "_enabled")) and value in (True, False)
    }
    project.switches |= views
    project.updated_at, project.updated_by = call.world.clock.now(), call.user.id
    return Answer(_written(call, project))


def _written(call: Call, project: Project) -> Json:
    """A project as the answer to its change shows it: without the caller's own order."""
    return {key: value for key, value in shapes.project(project, call.world, call.user).items() if key != "sort_order"}


def delete_project(call: Call) -> Answer:
    """DELETE a project: the one deletion that Plane tells."""
    if call.role < ADMIN:
        raise refusals.not_permitted()
    call.tracker.delete_project(call.project, call.user)
    return Answer(None, 204)


def project_members(call: Call) -> Answer:
    """GET members/: a bare list, and without roles."""
    return Answer([shapes.user(user) for user in call.world.users.values() if user.id in call.project.members])


def add_project_member(call: Call) -> Answer:
    """POST members/ {member, role}: for project admins."""
    user = call.world.users.get(str(call.body.get("member")))
    if call.role < ADMIN:
        raise refusals.not_permitted()
    if user is None:
        raise refusals.bad_payload()
    role = int(call.body.get("role", user.role))
    call.project.members[user.id] = role
    return Answer({"id": new_id(), "member": user.id, "role": role}, 201)


def workspace_members(call: Call) -> Answer:
    """GET the workspace's members: a bare list with roles."""
    return Answer([{**shapes.user(user), "role": user.role} for user in call.world.users.values()])


def list_states(call: Call) -> Answer:
    """GET states/."""
    rows = [shapes.state(one, call.world) for one in call.world.states_of(call.project.id)]
    return Answer(paging.page(rows, call.query))


def create_state(call: Call) -> Answer:
    """POST states/: answers 200, not 201."""
    body, group = call.body, call.body.get("group", "backlog")
    for field in ("name", "color"):
        if not body.get(field):
            raise refusals.invalid(field, REQUIRED)
    if group == "triage":
        raise refusals.invalid("non_field_errors", "Cannot create triage state")
    if group not in STATE_GROUPS:
        raise refusals.invalid("group", f'"{group}" is not a valid choice.')
    for state in call.world.states_of(call.project.id):
        if state.name == body["name"]:
            raise refusals.error(409, "State with the same name already exists in the project", id=state.id)
    state = call.tracker.create_state(call.project, (body["name"], group, body["color"]), call.user)
    return Answer(shapes.state(state, call.world))


def _state(call: Call) -> State:
    state = call.world.states.get(str(call.place["state_id"]))
    if state is None or state.project_id != call.project.id:
        raise refusals.not_found()
    return state


def get_state(call: Call) -> Answer:
    """GET one state."""
    return Answer(shapes.state(_state(call), call.world))


def patch_state(call: Call) -> Answer:
    """PATCH a state's name, color or description."""
    state = _state(call)
    for field in ("name", "color", "description"):
        setattr(state, field, call.body.get(field, getattr(state, field)))
    state.updated_at, state.updated_by = call.world.clock.now(), call.user.id
    return Answer(shapes.state(state, call.world))


def delete_state(call: Call) -> Answer:
    """DELETE a state: neither the default one nor one that issues stand in."""
    state = _state(call)
    if state.default:
        raise refusals.error(400, "Default state cannot be deleted")
    if any(issue.state_id == state.id for issue in call.world.issues.values()):
        raise refusals.error(400, "The state is not empty, only empty states can be deleted")
    del call.world.states[state.id]
    return Answer(None, 204)


def list_labels(call: Call) -> Answer:
    """GET labels/."""
    rows = [shapes.label(one, call.world) for one in call.world.labels_of(call.project.id)]
    return Answer(paging.page(rows, call.query))


def create_label(call: Call) -> Answer:
    """POST labels/."""
    body, labels = call.body, call.world.labels_of(call.project.id)
    if not body.get("name"):
        raise refusals.invalid("name", REQUIRED)
    twin = with_external(labels, body.get("external_source"), body.get("external_id"))
    if twin is not None:
        text = "Label with the same external id and external source already exists"
        raise refusals.error(409, text, id=twin.id)
    for label in labels:
        if label.name == body["name"]:
            raise refusals.error(409, "Label with the same name already exists in the project", id=label.id)
    label = call.tracker.create_label(call.project, body, call.user)
    return Answer(shapes.label(label, call.world), 201)


def _label(call: Call) -> Label:
    label = call.world.labels.get(str(call.place["label_id"]))
    if label is None or label.project_id != call.project.id:
        raise refusals.not_found()
    return label


def get_label(call: Call) -> Answer:
    """GET one label."""
    return Answer(shapes.label(_label(call), call.world))


def delete_label(call: Call) -> Answer:
    """DELETE a label, also from every issue that wears it."""
    label = _label(call)
    for issue in call.world.issues.values():
        issue.label_ids = [one for one in issue.label_ids if one != label.id]
    del call.world.labels[label.id]
    return Answer(None, 204)
