"""Rows of the world as Plane's JSON: REST bodies and the data of webhooks. Pure; keys and types are from captures."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from conveyor.simulator.plane import markup
from conveyor.simulator.plane.world import Activity, Comment, Issue, Label, Link, Project, Row, State, User, World

Json = dict[str, Any]


def stamp(moment: datetime | None) -> str | None:
    """Plane's form of a time: microseconds and Z."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if moment else None


def _times(row: Row) -> Json:
    return {"created_at": stamp(row.created_at), "updated_at": stamp(row.updated_at), "deleted_at": None}


def _origin(row: Row) -> Json:
    return {
        "external_source": row.external_source,
        "external_id": row.external_id,
        "created_by": row.created_by,
        "updated_by": row.updated_by,
    }


def user(one: User) -> Json:
    """A person as everywhere in Plane: without any sign of being a bot."""
    return {
        "id": one.id,
        "first_name": one.first_name,
        "last_name": "",
        "email": one.email,
        "avatar": "",
        "avatar_url": None,
        "display_name": one.display_name,
    }


def project(one: Project, world: World, viewer: User) -> Json:
    """A project as its viewer sees it: `member_role` is None where they are no member."""
    role = one.members.get(viewer.id)
    switches = ("is_time_tracking_enabled", "is_issue_type_enabled", "guest_view_all_features")
    views = ("module_view", "cycle_view", "issue_views_view", "page_view", "intake_view")
    empty = ("default_assignee", "project_lead", "cover_image_asset", "estimate", "default_state")
    return {
        "id": one.id,
        "total_members": len(one.members),
        "total_cycles": 0,
        "total_modules": 0,
        "is_member": role is not None,
        "sort_order": None if role is None else 65535.0,
        "member_role": role,
        "is_deployed": False,
        "cover_image_url": None,
        **_times(one),
        "name": one.name,
        "description": one.description,
        "description_text": None,
        "description_html": None,
        "network": 2,
        "identifier": one.identifier,
        "emoji": None,
        "icon_prop": None,
        **{view: view == "page_view" for view in views},
        **dict.fromkeys(switches, False),
        **one.switches,
        "cover_image": None,
        "archive_in": 0,
        "close_in": 0,
        "logo_props": {"icon": {"name": "rocket", "color": "#6d7b8a"}, "in_use": "icon"},
        "archived_at": None,
        "timezone": "UTC",
        **_origin(one),
        "workspace": world.workspace_id,
        **dict.fromkeys(empty),
    }


def project_brief(one: Project) -> Json:
    """A project inside an expanded issue."""
    return {
        "id": one.id,
        "identifier": one.identifier,
        "name": one.name,
        "cover_image": None,
        "icon_prop": None,
        "emoji": None,
        "description": one.description,
        "cover_image_url": None,
    }


def state(one: State, world: World) -> Json:
    """A state in REST."""
    return {
        "id": one.id,
        **_times(one),
        "name": one.name,
        "description": one.description,
        "color": one.color,
        "slug": one.slug,
        "sequence": one.sequence,
        "group": one.group,
        "is_triage": False,
        "default": one.default,
        **_origin(one),
        "project": one.project_id,
        "workspace": world.workspace_id,
    }


def state_brief(one: State) -> Json:
    """A state inside a webhook or an expanded issue."""
    return {"id": one.id, "name": one.name, "color": one.color, "group": one.group}


def label(one: Label, world: World) -> Json:
    """A label in REST."""
    return {
        "id": one.id,
        **_times(one),
        "name": one.name,
        "description": one.description,
        "color": one.color,
        "sort_order": one.sort_order,
        **_origin(one),
        "workspace": world.workspace_id,
        "project": one.project_id,
        "parent": None,
    }


def _issue_middle(one: Issue) -> Json:
    return {
        "priority": one.priority,
        "start_date": one.start_date,
        "target_date": one.target_date,
        "sequence_id": one.sequence_id,
        "sort_order": one.sort_order,
        "completed_at": stamp(one.completed_at),
        "archived_at": one.archived_at,
        "is_draft": one.is_draft,
        **_origin(one),
        "project": one.project_id,
    }


def issue(one: Issue, world: World) -> Json:
    """An issue in REST: its state, labels and assignees are ids."""
    return {
        "id": one.id,
        "type_id": None,
        **_times(one),
        "point": None,
        "name": one.name,
        "description_html": one.description_html,
        "description_binary": None,
        **_issue_middle(one),
        "workspace": world.workspace_id,
        "parent": one.parent_id,
        "state": one.state_id,
        "estimate_point": one.estimate_point,
        "type": None,
        "assignees": list(one.assignee_ids),
        "labels": list(one.label_ids),
    }


def issue_data(one: Issue, world: World) -> Json:
    """An issue in a webhook: its state, labels and assignees are objects, and its text comes stripped as well."""
    labels = [world.labels[label_id] for label_id in one.label_ids]
    return {
        "id": one.id,
        "labels": [{"id": label.id, "name": label.name, "color": label.color} for label in labels],
        "assignees": [user(world.users[user_id]) for user_id in one.assignee_ids],
        "state": state_brief(world.states[one.state_id]),
        "description": {},
        **_times(one),
        "point": None,
        "name": one.name,
        "description_json": {},
        "description_html": one.description_html,
        "description_stripped": markup.stripped(one.description_html),
        "description_binary": None,
        **_issue_middle(one),
        "workspace": world.workspace_id,
        "parent": one.parent_id,
        "estimate_point": one.estimate_point,
        "type": None,
    }


def comment(one: Comment, world: World) -> Json:
    """A comment, alike in REST and in webhooks."""
    return {
        "id": one.id,
        **_times(one),
        "comment_html": one.comment_html,
        "attachments": [],
        "access": one.access,
        "external_source": one.external_source,
        "external_id": one.external_id,
        "edited_at": stamp(one.edited_at),
        "created_by": one.created_by,
        "updated_by": one.updated_by,
        "project": one.project_id,
        "workspace": world.workspace_id,
        "description": one.description_id,
        "issue": one.issue_id,
        "actor": one.actor_id,
        "parent": None,
    }


def link(one: Link, world: World) -> Json:
    """A link of an issue; Plane looks the page up later and then fills in its metadata."""
    return {
        "id": one.id,
        **_times(one),
        "title": one.title,
        "url": one.url,
        "metadata": {},
        "created_by": one.created_by,
        "updated_by": one.updated_by,
        "project": one.project_id,
        "workspace": world.workspace_id,
        "issue": one.issue_id,
    }


def activity(one: Activity, world: World) -> Json:
    """One line of the history; its `created_by` is the actor."""
    return {
        "id": one.id,
        **_times(one),
        "verb": one.verb,
        "field": one.field,
        "old_value": one.old_value,
        "new_value": one.new_value,
        "comment": one.comment,
        "attachments": [],
        "old_identifier": one.old_identifier,
        "new_identifier": one.new_identifier,
        "epoch": float(int(one.created_at.timestamp())),
        "project": one.project_id,
        "workspace": world.workspace_id,
        "issue": one.issue_id,
        "issue_comment": None,
        "actor": one.created_by,
    }


def expanded(body: Json, wanted: set[str], world: World) -> Json:
    """A REST issue with the wanted ids replaced by objects."""
    openers: dict[str, Callable[[], Any]] = {
        "state": lambda: state_brief(world.states[body["state"]]),
        "project": lambda: project_brief(world.projects[body["project"]]),
        "labels": lambda: [label(world.labels[one], world) for one in body["labels"]],
        "assignees": lambda: [user(world.users[one]) for one in body["assignees"]],
        "created_by": lambda: user(world.users[body["created_by"]]),
    }
    return {**body, **{name: openers[name]() for name in openers if name in wanted}}
