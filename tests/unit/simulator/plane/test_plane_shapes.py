"""The simulated Plane's bodies have the keys and types of those captured from a real one."""

import json
from collections.abc import Callable
from typing import Any

import pytest


def differences(real: Any, ours: Any, path: str = "") -> list[str]:
    """Where our keys or types differ; null goes with everything, and of lists the first item speaks for all."""
    if real is None or ours is None:
        return []
    if type(real) is not type(ours):
        return [f"{path}: {type(real).__name__} became {type(ours).__name__}"]
    if isinstance(real, dict):
        told = [f"{path}: keys differ: {set(real) ^ set(ours)}"] if set(real) != set(ours) else []
        return told + [
            line for key in set(real) & set(ours) for line in differences(real[key], ours[key], f"{path}.{key}")
        ]
    if isinstance(real, list) and real and ours:
        return differences(real[0], ours[0], f"{path}[0]")
    return []


@pytest.fixture
async def lively(plane_bench: Any) -> Any:
    """A bench on which everything that was captured has happened once."""
    plane, project = plane_bench.plane, plane_bench.project
    plane.create_label(project, "agent")
    values = {"labels": ["agent"], "assignees": [plane_bench.bot], "priority": "high", "external_source": "orch"}
    plane.create_issue(project, "Première tâche", "<p>Hello</p><ul><li>a</li></ul>", external_id="ext-1", **values)
    plane.create_issue(project, "Second")
    plane.move_issue("RIG-1", "In Progress")
    plane.edit_comment(plane.comment("RIG-1", "ui comment"), "ui comment edited")
    plane.delete_project(plane.create_project("Tmp2", "TMPB"))
    await plane.courier.idle()
    return plane_bench


@pytest.mark.parametrize(
    ("name", "event", "field"),
    [
        ("webhook-issue-created", "issue", None),
        ("webhook-issue-moved-on-web", "issue", "state_id"),
        ("webhook-comment-edited", "issue_comment", "comment_html"),
        ("webhook-project-deleted", "project", None),
    ],
)
async def test_webhook_bodies_are_shaped_as_captured(
    lively: Any, plane_golden: Callable[[str], Any], name: str, event: str, field: str | None
) -> None:
    real = json.loads(plane_golden(name)["body"])
    ours = next(body for body in lively.receiver.bodies if (body["event"], body["activity"]["field"]) == (event, field))
    assert differences(real, ours) == []
    assert [list(ours), list(ours["data"]), list(ours["activity"])] == [
        list(real),
        list(real["data"]),
        list(real["activity"]),
    ]


async def test_rest_bodies_are_shaped_as_captured(lively: Any, plane_golden: Callable[[str], Any]) -> None:
    real, plane = plane_golden("rest"), lively.plane
    one, two = plane.issue("RIG-1"), plane.issue("RIG-2")
    item = f"work-items/{one.id}/"
    body = {"comment_html": "<p>Hi</p>", "external_source": "orch", "external_id": "c-1"}
    made = (await lively.ask("POST", item + "comments/", json=body)).json()
    relation = {"relation_type": "blocking", "issues": [two.id]}
    expand = "state,labels,assignees,project,created_by"
    ours = {
        "issue": await lively.get(item),
        "comment_created": made,
        "comment": await lively.get(f"{item}comments/{made['id']}/"),
        "activities": await lively.get(item + "activities/", per_page=1, cursor="1:1:0"),
        "relations_created": (await lively.ask("POST", item + "relations/", json=relation)).json(),
        "relations": await lively.get(item + "relations/"),
        "projects": await lively.get(f"{lively.workspace}/projects/"),
        "state": await lively.get(f"states/{lively.state_id('Done')}/"),
        "label": (await lively.ask("POST", "labels/", json={"name": "bug", "color": "#123456"})).json(),
        "project_members": await lively.get("members/"),
        "workspace_members": await lively.get(f"{lively.workspace}/members/"),
        "expanded_issues": await lively.get("work-items/", expand=expand, order_by="created_at"),
    }
    assert set(ours) == set(real)
    assert differences(real, ours) == []
