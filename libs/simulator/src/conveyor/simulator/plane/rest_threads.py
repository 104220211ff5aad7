"""REST routes of what hangs on an issue: comments, activities, relations."""

from conveyor.simulator.plane import paging, refusals, shapes
from conveyor.simulator.plane.door import Answer, Call
from conveyor.simulator.plane.refusals import RefusalError
from conveyor.simulator.plane.rest_issues import author
from conveyor.simulator.plane.shapes import Json
from conveyor.simulator.plane.tracker import MIRRORED, SYMMETRIC
from conveyor.simulator.plane.world import Comment, Issue, Relation, with_external

KINDS = ("blocking", "blocked_by", *SYMMETRIC, "start_after", "start_before", "finish_after", "finish_before")


def list_comments(call: Call) -> Answer:
    """GET comments/: newest first."""
    issue_id = str(call.place["issue_id"])
    return Answer(paging.page([_read(call, one) for one in call.world.comments_of(issue_id)], call.query))


def create_comment(call: Call) -> Answer:
    """POST comments/: an empty body is fine, a taken external pair answers 409 with the id of who has it.

    The answer shows a claimed author as the actor too; every later reading shows who really wrote.
    """
    try:
        issue = call.issue()
    except RefusalError as error:
        raise refusals.bad_payload() from error
    comments = [one for one in call.world.comments.values() if one.project_id == call.project.id]
    twin = with_external(comments, call.body.get("external_source"), call.body.get("external_id"))
    if twin is not None:
        text = "Work item comment with the same external id and external source already exists"
        raise refusals.error(409, text, id=twin.id)
    comment = call.tracker.create_comment(issue, call.body, call.user, author(call))
    shown = {"actor": comment.created_by, "updated_by": call.user.id}
    return Answer({**shapes.comment(comment, call.world), **shown}, 201)


def _comment(call: Call) -> Comment:
    comment = call.world.comments.get(str(call.place["comment_id"]))
    if comment is None or comment.issue_id != str(call.place["issue_id"]):
        raise refusals.not_found()
    return comment


def _read(call: Call, comment: Comment) -> Json:
    return {**shapes.comment(comment, call.world), "is_member": True}


def get_comment(call: Call) -> Answer:
    """GET one comment."""
    return Answer(_read(call, _comment(call)))


def patch_comment(call: Call) -> Answer:
    """PATCH a comment: any member may, even a guest; its author stays."""
    comment = _comment(call)
    call.tracker.edit_comment(comment, call.body.get("comment_html", comment.comment_html), call.user)
    return Answer(shapes.comment(comment, call.world))


def delete_comment(call: Call) -> Answer:
    """DELETE a comment: any member may; no webhook."""
    call.tracker.delete_comment(_comment(call), call.user)
    return Answer(None, 204)


def list_activities(call: Call) -> Answer:
    """GET activities/: the history, oldest first."""
    issue_id = str(call.place["issue_id"])
    rows = [shapes.activity(one, call.world) for one in call.world.activities if one.issue_id == issue_id]
    order_by = call.query.get("order_by") or "created_at"
    return Answer(paging.page(paging.ordered(rows, order_by, call.world), call.query))


def get_activity(call: Call) -> Answer:
    """GET one line of the history."""
    for one in call.world.activities:
        if (one.id, one.issue_id) == (str(call.place["activity_id"]), str(call.place["issue_id"])):
            return Answer(shapes.activity(one, call.world))
    raise refusals.not_found()


def list_relations(call: Call) -> Answer:
    """GET relations/: every kind, seen from this issue."""
    mine, world = str(call.place["issue_id"]), call.world
    seen: dict[str, list[Json]] = {kind: [] for kind in KINDS}
    for relation in world.relations:
        for kind, other_id in _sides(relation, mine):
            seen[kind].append({"project_id": world.issues[other_id].project_id, "issue_id": other_id})
    return Answer(seen)


def _sides(relation: Relation, mine: str) -> list[tuple[str, str]]:
    """How the relation looks from this issue: nothing when it is not part of it."""
    if relation.issue_id == mine:
        return [(relation.kind, relation.related_id)]
    if relation.related_id != mine:
        return []
    mirror = next((asked for asked, stored in MIRRORED.items() if stored == relation.kind), relation.kind)
    return [(mirror, relation.issue_id)]


def create_relations(call: Call) -> Answer:
    """POST relations/ {relation_type, issues}: the answer names the stored kind, `blocked_by` for `blocking`."""
    kind, ids = call.body.get("relation_type"), call.body.get("issues", [])
    if kind not in KINDS:
        raise refusals.invalid("relation_type", f'"{kind}" is not a valid choice.')
    others = [call.world.issues.get(str(one)) for one in ids]
    known = [other for other in others if other is not None]
    if len(known) != len(others):
        raise refusals.bad_payload()
    made = call.tracker.relate(call.issue(), kind, known, call.user)
    return Answer([_related(relation, other) for relation, other in zip(made, known, strict=True)], 201)


def _related(relation: Relation, other: Issue) -> Json:
    return {
        "id": other.id,
        "project_id": other.project_id,
        "sequence_id": other.sequence_id,
        "relation_type": relation.kind,
        "name": other.name,
        "state_id": other.state_id,
        "priority": other.priority,
        "created_by": relation.created_by,
        "created_at": shapes.stamp(relation.created_at),
        "updated_at": shapes.stamp(relation.updated_at),
        "updated_by": relation.updated_by,
    }
