"""The simulated Plane's REST v1, trap by trap."""

import json
from collections.abc import Callable
from typing import Any

import pytest

NOBODY = "00000000-0000-0000-0000-000000000000"


async def test_key_decides_who_asks(plane_bench: Any) -> None:
    bench = plane_bench
    assert (await bench.get("/api/v1/users/me/"))["id"] == bench.bot.id
    no_key = await bench.ask("GET", "/api/v1/users/me/", headers={"X-API-Key": ""})
    assert (no_key.status_code, no_key.json()) == (401, {"detail": "Authentication credentials were not provided."})
    bench.plane.revoke_key(bench.bot)
    revoked = await bench.ask("GET", "/api/v1/users/me/")
    assert (revoked.status_code, revoked.json()) == (403, {"detail": "Given API token is not valid"})


async def test_strangers_and_guests_are_refused_alike(plane_bench: Any) -> None:
    bench = plane_bench
    guest = bench.plane.add_user("Gus", role=5)
    bench.plane.create_issue(bench.project, "One")
    refused = {"detail": "You do not have permission to perform this action."}
    key = {"X-API-Key": guest.api_key}
    for method, path in (
        ("GET", "/api/v1/workspaces/nope/projects/"),
        ("GET", f"{bench.workspace}/projects/{NOBODY}/work-items/"),
        ("POST", f"{bench.path}/work-items/"),
        ("GET", f"{bench.workspace}/work-items/rig-1/"),
    ):
        answer = await bench.ask(method, path, json={"name": "x"}, headers=key)
        assert (answer.status_code, answer.json()) == (403, refused), path
    assert (await bench.ask("GET", "work-items/", headers=key)).status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
async def test_missing_trailing_slash_is_redirected(plane_bench: Any, method: str) -> None:
    answer = await plane_bench.ask(method, "work-items?per_page=2", json={"name": "x"})
    assert answer.status_code == 301
    assert answer.headers["location"] == f"{plane_bench.path}/work-items/?per_page=2"


async def test_unknown_pages_have_their_own_body(plane_bench: Any) -> None:
    for path in (f"{plane_bench.workspace}/webhooks/", "work-items/not-a-uuid/", f"issues/{NOBODY}/relations/"):
        answer = await plane_bench.ask("GET", path)
        assert (answer.status_code, answer.text) == (404, '{"error": "Page not found."}'), path


async def test_wrong_method_and_bad_json(plane_bench: Any) -> None:
    put = await plane_bench.ask("PUT", f"work-items/{NOBODY}/")
    assert (put.status_code, put.json()) == (405, {"detail": 'Method "PUT" not allowed.'})
    bad = await plane_bench.ask("POST", "work-items/", content=b"{nope")
    text = "JSON parse error - Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
    assert (bad.status_code, bad.json()) == (400, {"detail": text})


async def test_states_are_created_with_200_and_names_are_taken_once(plane_bench: Any) -> None:
    made = await plane_bench.ask("POST", "states/", json={"name": "Waiting", "color": "#ff00aa"})
    assert (made.status_code, made.json()["group"]) == (200, "backlog")
    twin = await plane_bench.ask("POST", "states/", json={"name": "Waiting", "color": "#ff00aa"})
    text = "State with the same name already exists in the project"
    assert (twin.status_code, twin.json()) == (409, {"error": text, "id": made.json()["id"]})
    triage = await plane_bench.ask("POST", "states/", json={"name": "T", "color": "#f0a", "group": "triage"})
    assert triage.json() == {"non_field_errors": ["Cannot create triage state"]}
    wrong = await plane_bench.ask("POST", "states/", json={"name": "T", "color": "#f0a", "group": "nope"})
    assert (wrong.status_code, wrong.json()) == (400, {"group": ['"nope" is not a valid choice.']})


async def test_labels_answer_201_and_409_with_the_id(plane_bench: Any) -> None:
    made = await plane_bench.ask("POST", "labels/", json={"name": "agent"})
    assert made.status_code == 201
    twin = await plane_bench.ask("POST", "labels/", json={"name": "agent"})
    assert (twin.status_code, twin.json()["id"]) == (409, made.json()["id"])


async def test_list_ignores_filters_and_hides_archived_and_drafts(plane_bench: Any) -> None:
    plane, project = plane_bench.plane, plane_bench.project
    for name in ("One", "Two", "Three"):
        plane.create_issue(project, name)
    plane.archive_issue("RIG-2")
    plane.create_draft(project, "Draft")
    page = await plane_bench.get("work-items/", state=NOBODY, updated_at__gt="2099-01-01T00:00:00Z")
    assert [row["name"] for row in page["results"]] == ["Three", "One"]
    archived = await plane_bench.ask("GET", f"work-items/{plane.issue('RIG-2').id}/")
    assert archived.status_code == 404
    patched = await plane_bench.ask("PATCH", f"work-items/{plane.issue('RIG-2').id}/", json={"priority": "low"})
    assert patched.status_code == 200


async def test_pages_go_by_offset_until_there_are_no_more(plane_bench: Any) -> None:
    for number in range(5):
        plane_bench.plane.create_issue(plane_bench.project, f"Item {number}")
    page = await plane_bench.get("work-items/", per_page=2, order_by="sequence_id")
    seen = [row["sequence_id"] for row in page["results"]]
    assert (page["prev_cursor"], page["total_count"], page["total_pages"]) == ("2:-1:1", 5, 3)
    while page["next_page_results"]:
        page = await plane_bench.get("work-items/", per_page=2, order_by="sequence_id", cursor=page["next_cursor"])
        seen += [row["sequence_id"] for row in page["results"]]
    assert seen == [1, 2, 3, 4, 5]
    assert (page["next_cursor"], page["prev_cursor"], page["count"]) == ("2:3:0", "2:1:1", 1)
    beyond = await plane_bench.get("work-items/", per_page=2, cursor="2:9:0")
    assert (beyond["results"], beyond["total_count"]) == ([], 5)


async def test_list_mistakes_answer_as_measured(plane_bench: Any) -> None:
    plane_bench.plane.create_issue(plane_bench.project, "One")
    crash = {"error": "Something went wrong please try again later"}
    for query, status, body in (
        ({"per_page": 5000}, 400, {"detail": "Invalid per_page value. Cannot exceed 1000."}),
        ({"per_page": 0}, 500, crash),
        ({"order_by": "nonsense"}, 500, crash),
        ({"external_id": "x", "external_source": "y"}, 404, {"error": "The requested resource does not exist."}),
    ):
        answer = await plane_bench.ask("GET", "work-items/", params=query)
        assert (answer.status_code, answer.json()) == (status, body), query


async def test_order_fields_and_expand(plane_bench: Any) -> None:
    plane = plane_bench.plane
    plane.create_issue(plane_bench.project, "One", state="Done")
    plane.create_issue(plane_bench.project, "Two", priority="urgent")
    plane.edit_issue("RIG-1", name="Changed")
    newest = await plane_bench.get("work-items/", order_by="-updated_at", fields="sequence_id,state", expand="state")
    assert [row["sequence_id"] for row in newest["results"]] == [1, 2]
    assert set(newest["results"][0]) == {"sequence_id", "state"}
    assert newest["results"][0]["state"]["name"] == "Done"
    by_group = await plane_bench.get("work-items/", order_by="-state__group")
    assert [row["sequence_id"] for row in by_group["results"]] == [1, 2]
    by_priority = await plane_bench.get("work-items/", order_by="priority")
    assert [row["sequence_id"] for row in by_priority["results"]] == [2, 1]


async def test_external_pair_finds_one_object_and_is_taken_once(plane_bench: Any) -> None:
    values = {"name": "One", "external_source": "conveyor", "external_id": "e-1"}
    made = await plane_bench.ask("POST", "work-items/", json=values)
    assert made.status_code == 201
    found = await plane_bench.get("issues/", external_source="conveyor", external_id="e-1")
    assert found["id"] == made.json()["id"]
    twin = await plane_bench.ask("POST", "work-items/", json=values)
    assert (twin.status_code, twin.json()["id"]) == (409, made.json()["id"])


async def test_reading_by_key(plane_bench: Any) -> None:
    issue = plane_bench.plane.create_issue(plane_bench.project, "One")
    for noun in ("work-items", "issues"):
        assert (await plane_bench.get(f"{plane_bench.workspace}/{noun}/RIG-1/"))["id"] == issue.id
    for key, status in (("rig-1", 403), ("RIG-999", 404), ("RIG-abc", 500)):
        assert (await plane_bench.ask("GET", f"{plane_bench.workspace}/work-items/{key}/")).status_code == status
    found = await plane_bench.get(f"{plane_bench.workspace}/work-items/search/", search="one")
    assert [row["sequence_id"] for row in found["issues"]] == [1]


async def test_create_validates_and_ignores_the_web_pages_names(plane_bench: Any) -> None:
    for body, refusal in (
        ({}, {"name": ["This field is required."]}),
        ({"name": "x", "state": NOBODY}, {"state": [f'Invalid pk "{NOBODY}" - object does not exist.']}),
        ({"name": "x", "description_html": ""}, {"non_field_errors": ["Invalid HTML passed"]}),
    ):
        answer = await plane_bench.ask("POST", "work-items/", json=body)
        assert (answer.status_code, answer.json()) == (400, refusal)
    done = plane_bench.state_id("Done")
    made = (await plane_bench.ask("POST", "work-items/", json={"name": "x", "state_id": done})).json()
    assert made["state"] == plane_bench.state_id("Backlog")
    body = {"labels": [NOBODY], "assignees": [plane_bench.bot.id, NOBODY], "description_html": "<p>a</p><p>b</p>"}
    made = (await plane_bench.ask("POST", "work-items/", json={"name": "x", **body})).json()
    assert (made["labels"], made["assignees"]) == ([], [plane_bench.bot.id])
    assert made["description_html"] == "<div><p>a</p><p>b</p></div>"


async def test_updated_at_moves_by_itself_after_a_change(plane_bench: Any) -> None:
    issue = plane_bench.plane.create_issue(plane_bench.project, "One")
    path = f"work-items/{issue.id}/"
    patched = (await plane_bench.ask("PATCH", path, json={"state": plane_bench.state_id("Done")})).json()
    later = await plane_bench.get(path)
    assert patched["state"] == later["state"] == plane_bench.state_id("Done")
    assert patched["updated_at"] < later["updated_at"]
    assert later["completed_at"] is not None
    plane_bench.plane.comment("RIG-1", "Hello")
    assert (await plane_bench.get(path))["updated_at"] > later["updated_at"]


async def test_only_admin_or_creator_deletes(plane_bench: Any) -> None:
    issue = plane_bench.plane.create_issue(plane_bench.project, "One")
    path = f"work-items/{issue.id}/"
    refused = await plane_bench.ask("DELETE", path)
    assert (refused.status_code, refused.json()["error"]) == (403, "Only admin or creator can delete the work item")
    owner = {"X-API-Key": plane_bench.plane.owner.api_key}
    assert (await plane_bench.ask("DELETE", path, headers=owner)).status_code == 204
    assert (await plane_bench.ask("GET", path)).status_code == 404


async def test_comments_live_with_their_traps(plane_bench: Any) -> None:
    issue = plane_bench.plane.create_issue(plane_bench.project, "One")
    path = f"work-items/{issue.id}/comments/"
    body = {"comment_html": "<p>x</p><script>1</script>", "external_source": "c", "external_id": "1"}
    made = await plane_bench.ask("POST", path, json=body)
    assert (made.status_code, made.json()["comment_html"]) == (201, body["comment_html"])
    twin = await plane_bench.ask("POST", path, json=body)
    text = "Work item comment with the same external id and external source already exists"
    assert (twin.status_code, twin.json()) == (409, {"error": text, "id": made.json()["id"]})
    empty = await plane_bench.ask("POST", path, json={})
    assert (empty.status_code, empty.json()["comment_html"]) == (201, "<p></p>")
    unknown = await plane_bench.ask("POST", f"work-items/{NOBODY}/comments/", json=body)
    assert (unknown.status_code, unknown.json()) == (400, {"error": "The payload is not valid"})
    guest = plane_bench.plane.add_user("Gus", role=5)
    one = f"{path}{made.json()['id']}/"
    edit = await plane_bench.ask("PATCH", one, json={"comment_html": "<p>y</p>"}, headers={"X-API-Key": guest.api_key})
    assert (edit.status_code, edit.json()["actor"], edit.json()["edited_at"]) == (200, plane_bench.bot.id, None)
    assert [row["comment_html"] for row in (await plane_bench.get(path))["results"]] == ["<p></p>", "<p>y</p>"]
    assert (await plane_bench.ask("DELETE", one)).status_code == 204
    assert (await plane_bench.ask("GET", one)).status_code == 404


async def test_a_claimed_author_shows_in_all_but_the_actor(
    plane_bench: Any, plane_golden: Callable[[str], Any]
) -> None:
    """Only the answer to the creation repeats the claim as the actor, as in the capture of the real one."""
    issue = plane_bench.plane.create_issue(plane_bench.project, "One")
    path, owner, bot = f"work-items/{issue.id}/comments/", plane_bench.plane.owner.id, plane_bench.bot.id
    made = await plane_bench.ask("POST", path, json={"comment_html": "<p>x</p>", "created_by": owner})
    assert (made.json()["created_by"], made.json()["actor"]) == (owner, owner)
    (row,) = (await plane_bench.get(path))["results"]
    assert (row["created_by"], row["actor"]) == (owner, bot)
    await plane_bench.plane.courier.idle()
    told, captured = plane_bench.receiver.bodies[-1], json.loads(plane_golden("webhook-comment-claimed")["body"])
    for one in (told, captured):
        assert one["data"]["actor"] == one["activity"]["actor"]["id"] != one["data"]["created_by"]
    assert told["data"]["created_by"] == owner


async def test_history_names_states_and_their_ids(plane_bench: Any) -> None:
    plane = plane_bench.plane
    issue = plane.create_issue(plane_bench.project, "One")
    plane.hold_history()
    plane.move_issue("RIG-1", "To Analyse")
    path = f"work-items/{issue.id}/activities/"
    assert [row["verb"] for row in (await plane_bench.get(path))["results"]] == ["created"]
    plane.release_history()
    row = (await plane_bench.get(path))["results"][1]
    assert (row["field"], row["old_value"], row["new_value"]) == ("state", "Backlog", "To Analyse")
    assert row["old_identifier"] == plane_bench.state_id("Backlog")
    assert row["new_identifier"] == plane_bench.state_id("To Analyse")
    assert row["actor"] == plane.owner.id
    assert await plane_bench.get(f"{path}{row['id']}/") == row


async def test_relations_are_seen_from_both_sides_and_made_once(plane_bench: Any) -> None:
    one, two = (plane_bench.plane.create_issue(plane_bench.project, name) for name in ("One", "Two"))
    path = f"work-items/{one.id}/relations/"
    for _ in range(2):
        made = await plane_bench.ask("POST", path, json={"relation_type": "blocking", "issues": [two.id]})
        assert (made.status_code, made.json()[0]["relation_type"]) == (201, "blocked_by")
    side = {"project_id": plane_bench.project.id, "issue_id": two.id}
    assert (await plane_bench.get(path))["blocking"] == [side]
    other = await plane_bench.get(f"work-items/{two.id}/relations/")
    assert [row["issue_id"] for row in other["blocked_by"]] == [one.id]
    wrong = await plane_bench.ask("POST", path, json={"relation_type": "zzz", "issues": []})
    assert (wrong.status_code, wrong.json()) == (400, {"relation_type": ['"zzz" is not a valid choice.']})
    assert (await plane_bench.ask("DELETE", path)).status_code == 405


async def test_rate_limit_slides_over_a_minute(plane_bench: Any) -> None:
    plane = plane_bench.plane
    plane.limiter.limit = 2
    first = await plane_bench.ask("GET", "/api/v1/users/me/")
    assert first.headers["x-ratelimit-remaining"] == "1"
    plane.clock.advance(20)
    await plane_bench.ask("GET", "/api/v1/users/me/")
    throttled = await plane_bench.ask("GET", "/api/v1/users/me/")
    assert throttled.status_code == 429
    assert throttled.json() == {"error_code": 5900, "error_message": "RATE_LIMIT_EXCEEDED"}
    assert 38 <= int(throttled.headers["retry-after"]) <= 40
    assert not [name for name in throttled.headers if name.startswith("x-ratelimit")]
    plane.clock.advance(40)
    assert (await plane_bench.ask("GET", "/api/v1/users/me/")).status_code == 200
    assert [asked.status for asked in plane.requests] == [200, 200, 429, 200]


async def test_ordered_trouble_is_answered_and_counted(plane_bench: Any) -> None:
    plane_bench.plane.answer_next(502, count=2)
    assert (await plane_bench.ask("GET", "/api/v1/users/me/")).status_code == 502
    assert plane_bench.plane.leftovers() == ["answer never given: 502"]
    assert (await plane_bench.ask("GET", "/api/v1/users/me/")).status_code == 502
    assert (await plane_bench.ask("GET", "/api/v1/users/me/")).status_code == 200


async def test_project_made_by_rest_has_planes_own_states(plane_bench: Any) -> None:
    body, path = {"name": "Two", "identifier": "TWO"}, f"{plane_bench.workspace}/projects/"
    made = await plane_bench.ask("POST", path, json=body)
    assert made.status_code == 201
    states = await plane_bench.get(f"{path}{made.json()['id']}/states/")
    assert [row["name"] for row in states["results"]] == ["Backlog", "Todo", "In Progress", "Done", "Cancelled"]
    twin = await plane_bench.ask("POST", path, json=body)
    assert twin.status_code == 409


async def test_control_door_moves_cards_for_another_process(plane_bench: Any) -> None:
    made = await plane_bench.ask("POST", "/_sim/create_issue", json={"project": "RIG", "name": "One"})
    assert made.json()["key"] == "RIG-1"
    moved = await plane_bench.ask("POST", "/_sim/move_issue", json={"issue": "RIG-1", "state": "Done", "by": "Ada"})
    assert moved.status_code == 200
    assert plane_bench.plane.state_of("RIG-1") == "Done"
    wrong = await plane_bench.ask("POST", "/_sim/comment", json={"issue": "RIG-9", "text": "x"})
    assert wrong.status_code == 400


async def test_links_are_web_addresses_and_each_stands_once(plane_bench: Any) -> None:
    path = f"work-items/{plane_bench.plane.create_issue(plane_bench.project, 'One').id}/links/"
    form = {"title": "PR", "url": "https://example.com/pr/1"}
    made = await plane_bench.ask("POST", path, json=form)
    assert (made.status_code, made.json()["metadata"]) == (201, {})
    twin = await plane_bench.ask("POST", path, json=form)
    assert (twin.status_code, twin.json()) == (400, {"error": "URL already exists for this Issue"})
    assert (await plane_bench.ask("POST", path, json={"url": "ftp://x"})).json() == {"url": ["Invalid URL format."]}
    link = f"{path}{made.json()['id']}/"
    assert (await plane_bench.get(link))["url"] == form["url"]
    assert [row["url"] for row in (await plane_bench.get(path))["results"]] == [form["url"]]
    assert [row.field for row in plane_bench.plane.activities_of("RIG-1")] == [None, "link"]
    assert (await plane_bench.ask("DELETE", link)).status_code == 204
    assert (await plane_bench.ask("GET", link)).status_code == 404


async def test_a_project_is_changed_by_its_admins_alone(plane_bench: Any) -> None:
    path, form = f"{plane_bench.path}/", {"intake_view": True, "description": "new", "network": 0}
    assert (await plane_bench.ask("PATCH", path, json=form)).status_code == 403
    owner = {"X-API-Key": plane_bench.plane.owner.api_key}
    changed = await plane_bench.ask("PATCH", path, json=form, headers=owner)
    assert changed.status_code == 200
    assert "sort_order" not in changed.json()
    seen = await plane_bench.get(path)
    assert (seen["intake_view"], seen["description"], seen["network"], seen["sort_order"]) == (True, "new", 2, 65535.0)


async def test_the_web_pages_own_api_refuses_every_key(plane_bench: Any) -> None:
    answer = await plane_bench.ask("GET", f"/api/workspaces/{plane_bench.plane.slug}/webhooks/")
    assert (answer.status_code, answer.headers["allow"]) == (401, "GET, POST, PATCH, DELETE, HEAD, OPTIONS")


async def test_long_answers_are_compressed_for_who_can_read_that(plane_bench: Any) -> None:
    states = await plane_bench.ask("GET", "states/")
    assert (states.headers["content-encoding"], states.json()["grouped_by"]) == ("gzip", None)
    plain = await plane_bench.ask("GET", "states/", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.json() == states.json()
