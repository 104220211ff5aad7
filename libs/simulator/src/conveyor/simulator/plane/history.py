"""The lines that a change leaves in an issue's history: names for people, ids for machines. Pure."""

from typing import Any, NamedTuple

from conveyor.simulator.plane.world import Issue, World


class Line(NamedTuple):
    """One line before it is stored; `verb` is as Plane says it."""

    field: str | None
    comment: str
    old_value: str | None = None
    new_value: str | None = None
    old_identifier: str | None = None
    new_identifier: str | None = None
    verb: str = "updated"


CREATED = Line(None, "created the issue", verb="created")
_PLAIN = {
    "priority": "priority",
    "name": "name",
    "description_html": "description",
    "start_date": "start_date",
    "target_date": "target_date",
}


def lines(world: World, name: str, old: Any, new: Any) -> list[Line]:
    """The lines for one changed field, by its REST name; none for those that Plane does not track, as sort_order."""
    if name in _PLAIN:
        field = _PLAIN[name]
        return [Line(field, f"updated the {field.replace('_', ' ')} to", old or "", new or "")]
    if name == "state":
        names = (world.states[old].name, world.states[new].name)
        return [Line("state", "updated the state to", *names, old, new)]
    if name == "parent":
        return [Line("parent", "updated the parent issue to", _key(world, old), _key(world, new), old, new)]
    if name == "labels":
        return _members(name, "label", {one.id: one.name for one in world.labels.values()}, (old, new))
    if name == "assignees":
        return _members(name, "assignee", {one.id: one.display_name for one in world.users.values()}, (old, new))
    return []


def related(kind: str, other: Issue, other_key: str) -> Line:
    """The line for a new relation, as on both sides of it; the other's id stands as the *old* identifier."""
    return Line(kind, f"added {kind} relation", "", other_key, other.id)


def _key(world: World, issue_id: str | None) -> str:
    return world.key_of(world.issues[issue_id]) if issue_id in world.issues else ""


def _members(field: str, noun: str, names: dict[str, str], change: tuple[list[str], list[str]]) -> list[Line]:
    old, new = change
    added = [Line(field, f"added {noun} ", "", names[one], None, one) for one in new if one in names and one not in old]
    gone = [Line(field, f"removed {noun} ", names[one], "", one) for one in old if one in names and one not in new]
    return added + gone
