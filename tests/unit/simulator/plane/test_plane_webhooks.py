"""The simulated Plane's webhooks: what is told, what never is, and how it travels."""

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

from conveyor.simulator.plane import happenings

SECRET = "plane_wh_67bf616d31e1404791d8d188b867ee67"


def test_signature_equals_the_captured_one(plane_golden: Callable[[str], Any]) -> None:
    for name in ("webhook-issue-created", "webhook-issue-moved-on-web", "webhook-comment-edited"):
        capture = plane_golden(name)
        body = capture["body"].encode()
        assert happenings.signature(SECRET, body) == capture["headers"]["X-Plane-Signature"]
        assert happenings.encoded(json.loads(body)) == body


async def test_delivery_carries_planes_headers(plane_bench: Any, plane_golden: Callable[[str], Any]) -> None:
    plane_bench.plane.create_issue(plane_bench.project, "Première tâche")
    await plane_bench.plane.courier.idle()
    headers, raw = plane_bench.receiver.headers[0], plane_bench.receiver.raw[0]
    captured = plane_golden("webhook-issue-created")["headers"]
    assert {name.lower() for name in captured} | {"host"} == set(headers)
    for same in ("User-Agent", "Accept", "Accept-Encoding", "Content-Type", "X-Plane-Event"):
        assert headers[same.lower()] == captured[same]
    assert headers["x-plane-signature"] == hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
    assert raw.isascii()


async def test_one_delivery_for_each_changed_field_by_rest_names(plane_bench: Any) -> None:
    issue = plane_bench.plane.create_issue(plane_bench.project, "One", quietly=True)
    done = plane_bench.state_id("Done")
    body = {"state": done, "priority": "high", "name": "One", "state_id": done, "foo": "bar"}
    await plane_bench.ask("PATCH", f"work-items/{issue.id}/", json=body)
    await plane_bench.plane.courier.idle()
    told = plane_bench.receiver
    assert told.changes == [("issue", "updated", "state"), ("issue", "updated", "priority")]
    assert told.bodies[0]["activity"]["old_value"] == plane_bench.state_id("Backlog")
    assert told.bodies[0]["activity"]["new_value"] == done
    assert told.bodies[0]["activity"]["actor"]["id"] == plane_bench.bot.id
    assert told.bodies[0]["data"]["priority"] == "high"
    assert told.bodies[0]["data"]["state"]["name"] == "Done"


async def test_the_web_page_uses_its_own_field_names(plane_bench: Any) -> None:
    plane = plane_bench.plane
    plane.create_label(plane_bench.project, "bug")
    plane.create_issue(plane_bench.project, "One")
    plane.move_issue("RIG-1", "To Analyse", drag=True)
    plane.edit_issue("RIG-1", labels=["bug"], assignees=[plane_bench.bot], name="Better")
    comment = plane.comment("RIG-1", "a < b")
    plane.edit_comment(comment, "<p>b</p>")
    await plane.courier.idle()
    fields = [(event, field) for event, action, field in plane_bench.receiver.changes if action == "updated"]
    assert sorted(fields[:2]) == [("issue", "sort_order"), ("issue", "state_id")]
    assert fields[2:] == [
        ("issue", "label_ids"),
        ("issue", "assignee_ids"),
        ("issue", "name"),
        ("issue_comment", "comment_html"),
    ]
    assert plane_bench.receiver.bodies[-1]["activity"]["old_value"] == "<p>a &lt; b</p>"
    assert plane_bench.receiver.bodies[-1]["data"]["edited_at"] is not None


async def test_html_that_plane_rewrites_fires_on_every_identical_patch(plane_bench: Any) -> None:
    issue = plane_bench.plane.create_issue(plane_bench.project, "One", quietly=True)
    for _ in range(2):
        body = {"description_html": "<p>a</p><p>b</p>"}
        await plane_bench.ask("PATCH", f"work-items/{issue.id}/", json=body)
    await plane_bench.plane.courier.idle()
    assert [body["activity"]["new_value"] for body in plane_bench.receiver.bodies] == ["<p>a</p><p>b</p>"] * 2
    assert plane_bench.receiver.bodies[1]["data"]["description_html"] == "<div><p>a</p><p>b</p></div>"
    assert plane_bench.receiver.bodies[1]["data"]["description_stripped"] == "ab"


async def test_much_is_never_told(plane_bench: Any) -> None:
    plane, project = plane_bench.plane, plane_bench.project
    for name in ("One", "Two", "Three"):
        plane.create_issue(project, name, quietly=True)
    with plane.quietly():
        plane.move_issue("RIG-1", "Done")
        comment = plane.comment("RIG-1", "hush")
    plane.relate("RIG-1", "blocked_by", "RIG-2")
    plane.delete_comment(comment)
    plane.archive_issue("RIG-2")
    plane.delete_issue("RIG-3")
    plane.publish_draft(plane.create_draft(project, "Draft"))
    await plane_bench.ask("POST", "states/", json={"name": "New", "color": "#fff"})
    await plane.courier.idle()
    assert plane_bench.receiver.bodies == []
    assert plane.courier.deliveries == []


async def test_deleted_project_is_told(plane_bench: Any) -> None:
    plane_bench.plane.delete_project(plane_bench.project)
    await plane_bench.plane.courier.idle()
    assert plane_bench.receiver.changes == [("project", "deleted", None)]
    assert plane_bench.receiver.bodies[0]["data"] == {"id": plane_bench.project.id}


async def test_issue_deleted_before_the_worker_ran_is_not_told(plane_bench: Any) -> None:
    plane_bench.plane.create_issue(plane_bench.project, "One")
    plane_bench.plane.delete_issue("RIG-1")
    await plane_bench.plane.courier.idle()
    assert plane_bench.receiver.bodies == []
    assert [one.outcome for one in plane_bench.plane.courier.deliveries] == ["withdrawn"]


async def test_data_is_read_when_sent_and_newer_than_the_change(plane_bench: Any) -> None:
    plane = plane_bench.plane
    plane.create_issue(plane_bench.project, "One", quietly=True)
    plane.courier.hold()
    plane.move_issue("RIG-1", "Analysis")
    plane.move_issue("RIG-1", "In Review")
    plane.courier.release()
    await plane.courier.idle()
    first, second = plane_bench.receiver.bodies
    assert first["data"] == second["data"]
    assert first["activity"]["new_value"] == plane_bench.state_id("Analysis")
    assert first["data"]["state"]["name"] == "In Review"


async def test_any_answer_counts_as_delivered(plane_bench: Any) -> None:
    plane_bench.receiver.status = 500
    plane_bench.plane.create_issue(plane_bench.project, "One")
    await plane_bench.plane.courier.idle()
    assert len(plane_bench.receiver.bodies) == 1
    assert plane_bench.hook.is_active
    assert plane_bench.plane.leftovers() == ["not taken: issue created RIG-1: 500"]


async def test_retry_brings_the_old_body_under_a_new_id_after_newer_ones(plane_bench: Any) -> None:
    plane = plane_bench.plane
    plane.create_issue(plane_bench.project, "One", quietly=True)
    plane.courier.break_next(2, match="priority")
    plane.edit_issue("RIG-1", priority="high")
    plane.edit_issue("RIG-1", name="Two")
    await plane.courier.idle()
    assert [body["activity"]["field"] for body in plane_bench.receiver.bodies] == ["name", "priority"]
    tries = [one for one in plane.courier.deliveries if "priority" in one.label]
    assert [one.outcome for one in tries] == ["unreachable", "unreachable", "answered"]
    assert len({one.headers["X-Plane-Delivery"] for one in tries}) == 3
    assert len({one.body for one in tries}) == len({one.headers["X-Plane-Signature"] for one in tries}) == 1
    assert plane.leftovers() == []


async def test_six_attempts_in_vain_switch_the_webhook_off(plane_bench: Any) -> None:
    plane = plane_bench.plane
    await plane_bench.receiver.server.stop()
    plane.create_issue(plane_bench.project, "One")
    await plane.courier.idle()
    assert [one.attempt for one in plane.courier.deliveries] == [1, 2, 3, 4, 5, 6]
    assert not plane_bench.hook.is_active
    await plane_bench.receiver.server.start()
    plane.comment("RIG-1", "lost")
    plane_bench.hook.is_active = True
    plane.comment("RIG-1", "told")
    await plane.courier.idle()
    assert [body["data"]["comment_html"] for body in plane_bench.receiver.bodies] == ["<p>told</p>"]


async def test_faults_find_their_delivery_by_its_label(plane_bench: Any) -> None:
    plane = plane_bench.plane
    plane.courier.drop_next(match="state_id RIG-1")
    plane.courier.duplicate_next(match="issue_comment created")
    plane.create_issue(plane_bench.project, "One")
    plane.move_issue("RIG-1", "Done")
    plane.comment("RIG-1", "twice")
    await plane.courier.idle()
    created, one, two = plane_bench.receiver.bodies
    assert (created["action"], one) == ("created", two)
    assert plane.courier.struck == {"drop": 1, "duplicate": 1}
    assert plane.leftovers() == []


async def test_only_subscribed_events_of_the_whole_workspace_are_told(plane_bench: Any) -> None:
    plane_bench.hook.events = frozenset({"issue_comment"})
    other = plane_bench.plane.create_project("Other", "OTH")
    plane_bench.plane.create_issue(other, "One")
    plane_bench.plane.comment("OTH-1", "Hello")
    await plane_bench.plane.courier.idle()
    assert plane_bench.receiver.changes == [("issue_comment", "created", None)]
    assert plane_bench.receiver.bodies[0]["data"]["project"] == other.id


async def test_server_comes_back_with_its_world(plane_bench: Any) -> None:
    plane, url = plane_bench.plane, plane_bench.plane.url
    plane.create_issue(plane_bench.project, "One")
    await plane.courier.idle()
    await plane.stop()
    plane.comment("RIG-1", "while away")
    await plane.start()
    await plane.courier.idle()
    assert plane.url == url
    assert (await plane_bench.get(f"{plane_bench.workspace}/work-items/RIG-1/"))["name"] == "One"
    assert plane_bench.receiver.changes[-1] == ("issue_comment", "created", None)
