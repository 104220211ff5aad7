"""What a Plane answers beyond the captures: the error table, pages, patches, comments, relations, members, history."""

from typing import Any

import pytest

from tests.fidelity.targets import PlaneTarget

pytestmark = pytest.mark.timeout(600)

NOBODY = "00000000-0000-4000-8000-000000000000"
CRASH = {"error": "Something went wrong please try again later"}
NOT_PERMITTED = {"detail": "You do not have permission to perform this action."}
NOT_THERE = {"error": "The requested resource does not exist."}


async def item(plane: PlaneTarget, name: str = "Fidelity", *, by: str = "bot", **values: Any) -> dict[str, Any]:
    return await plane.made("work-items/", by=by, name=name, **values)


async def state_ids(plane: PlaneTarget) -> dict[str, str]:
    return {row["name"]: row["id"] for row in (await plane.call("GET", "states/")).json()["results"]}


async def test_a_key_belongs_to_a_person(plane: PlaneTarget) -> None:
    me = (await plane.call("GET", "/api/v1/users/me/")).json()
    expected = {"id", "first_name", "last_name", "email", "avatar", "avatar_url", "display_name"}
    assert expected <= me.keys()
    if not plane.is_real:
        assert me.keys() == expected


async def test_whoever_asks_too_often_is_told_how_long_to_wait(plane: PlaneTarget) -> None:
    """Sixty a minute for each key; a server may be set to allow more."""
    if plane.server:
        plane.server.limiter.limit = 60
    headers = {"X-API-Key": plane.keys["bot"]}
    left = []
    for _ in range(400):
        answer = await plane.client.get(f"{plane.url}/api/v1/users/me/", headers=headers)
        if answer.status_code == 429:
            break
        left.append(int(answer.headers["x-ratelimit-remaining"]))
        assert int(answer.headers["x-ratelimit-reset"]) > 0
    else:
        pytest.skip("this server allows more than 400 requests a minute")
    assert left == sorted(left, reverse=True)
    assert left[-1] == 0
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert answer.json() == {"error_code": 5900, "error_message": "RATE_LIMIT_EXCEEDED"}
    assert "x-ratelimit-remaining" not in answer.headers


async def test_a_token_in_the_authorization_header_counts_for_nothing(plane: PlaneTarget) -> None:
    headers = {"Authorization": f"Bearer {plane.keys['bot']}"}
    answer = await plane.client.get(f"{plane.url}/api/v1/users/me/", headers=headers)
    assert (answer.status_code, answer.json()) == (401, {"detail": "Authentication credentials were not provided."})


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("PUT", "work-items/{item}/", 405, {"detail": 'Method "PUT" not allowed.'}),
        ("DELETE", "work-items/{item}/relations/", 405, {"detail": 'Method "DELETE" not allowed.'}),
        ("GET", "work-items/?per_page=0", 500, CRASH),
        ("GET", "work-items/?order_by=nonsense", 500, CRASH),
        ("GET", "work-items/?external_id=none&external_source=fidelity", 404, NOT_THERE),
        ("GET", f"work-items/{NOBODY}/", 404, NOT_THERE),
        ("GET", f"states/{NOBODY}/", 404, NOT_THERE),
        ("GET", f"labels/{NOBODY}/", 404, NOT_THERE),
        ("GET", "work-items/{item}/webhooks/", 404, {"error": "Page not found."}),
    ],
)
async def test_the_table_of_refusals(plane: PlaneTarget, method: str, path: str, status: int, body: object) -> None:
    made = await item(plane)
    answer = await plane.call(method, path.format(item=made["id"]))
    assert (answer.status_code, answer.json()) == (status, body)


async def test_a_key_in_another_case_is_forbidden(plane: PlaneTarget) -> None:
    project = (await plane.call("GET", f"{plane.place}/")).json()
    answer = await plane.call("GET", f"{plane.workspace}/work-items/{project['identifier'].lower()}-1/")
    assert (answer.status_code, answer.json()) == (403, NOT_PERMITTED)


@pytest.mark.parametrize(
    ("body", "status", "answer"),
    [
        ({"description_html": "<p>x</p>"}, 400, {"name": ["This field is required."]}),
        ({"name": ""}, 400, {"name": ["This field may not be blank."]}),
        ({"name": "x" * 256}, 400, {"name": ["Ensure this field has no more than 255 characters."]}),
        ({"name": "x", "priority": "soon"}, 400, {"priority": ['"soon" is not a valid choice.']}),
        ({"name": "x", "description_html": ""}, 400, {"non_field_errors": ["Invalid HTML passed"]}),
    ],
)
async def test_an_item_that_cannot_be_made(
    plane: PlaneTarget, body: dict[str, str], status: int, answer: object
) -> None:
    refused = await plane.call("POST", "work-items/", **body)
    assert (refused.status_code, refused.json()) == (status, answer)


async def test_pages_go_by_offset_and_end_where_they_say(plane: PlaneTarget) -> None:
    made = [(await item(plane, f"Page {number}"))["id"] for number in range(3)]
    path, seen = "work-items/?per_page=2&order_by=-created_at", []
    page = (await plane.call("GET", path)).json()
    first = page
    while True:
        seen += [row["id"] for row in page["results"]]
        assert page["count"] == len(page["results"])
        if not page["next_page_results"]:
            break
        page = (await plane.call("GET", f"{path}&cursor={page['next_cursor']}")).json()
    assert seen[:3] == made[::-1]
    assert len(seen) == len(set(seen)) == first["total_count"] == first["total_results"]
    assert (first["prev_page_results"], first["next_cursor"]) == (False, "2:1:0")
    assert isinstance(page["next_cursor"], str)
    beyond = await plane.call("GET", f"{path}&cursor=2:{len(seen)}:0")
    assert (beyond.status_code, beyond.json()["results"]) == (200, [])


async def test_a_change_moves_updated_at_once_more_by_itself(plane: PlaneTarget, eventually: Any) -> None:
    made = await item(plane)
    path = f"work-items/{made['id']}/"
    patched = (await plane.call("PATCH", path, priority="high")).json()

    async def has_moved() -> bool:
        return (await plane.call("GET", path)).json()["updated_at"] > patched["updated_at"]

    await eventually(has_moved, timeout_s=60)


async def test_a_patch_replaces_lists_drops_strangers_and_ignores_other_names(plane: PlaneTarget) -> None:
    states, made = await state_ids(plane), await item(plane)
    path = f"work-items/{made['id']}/"
    label = (await plane.made("labels/", name=plane.unique("label")))["id"]
    assert (await plane.call("PATCH", path, labels=[label, NOBODY])).json()["labels"] == [label]
    assert (await plane.call("PATCH", path, labels=[])).json()["labels"] == []
    ignored = await plane.call("PATCH", path, state_id=states["Done"], label_ids=[label])
    assert (ignored.status_code, ignored.json()["state"], ignored.json()["labels"]) == (200, made["state"], [])
    moved = await plane.call("PATCH", path, state=states["Done"])
    assert (moved.json()["state"], moved.json()["completed_at"] is None) == (states["Done"], False)
    assert (await plane.call("PATCH", path, state=states["Todo"])).json()["completed_at"] is None


async def test_html_with_several_roots_is_wrapped(plane: PlaneTarget) -> None:
    made = await item(plane, description_html="<p>a</p><p>b</p>")
    assert made["description_html"] == "<div><p>a</p><p>b</p></div>"


async def test_a_comment_with_the_same_external_pair_is_posted_once(plane: PlaneTarget) -> None:
    path = f"work-items/{(await item(plane))['id']}/comments/"
    pair = {"external_source": "fidelity", "external_id": plane.unique("marker")}
    first = await plane.made(path, comment_html="<p>one</p>", **pair)
    again = await plane.call("POST", path, comment_html="<p>two</p>", **pair)
    assert (again.status_code, again.json()["id"]) == (409, first["id"])
    assert [row["comment_html"] for row in (await plane.call("GET", path)).json()["results"]] == ["<p>one</p>"]


async def test_an_edit_through_the_api_shows_in_updated_by_alone(plane: PlaneTarget) -> None:
    path = f"work-items/{(await item(plane))['id']}/comments/"
    comment = await plane.made(path, comment_html="<p>one</p>")
    untouched = (await plane.call("GET", f"{path}{comment['id']}/")).json()
    assert (untouched["updated_by"], untouched["edited_at"]) == (None, None)
    await plane.call("PATCH", f"{path}{comment['id']}/", by="human", comment_html="<p>two</p>")
    edited = (await plane.call("GET", f"{path}{comment['id']}/")).json()
    human = (await plane.call("GET", "/api/v1/users/me/", by="human")).json()["id"]
    assert (edited["updated_by"], edited["edited_at"], edited["actor"]) == (human, None, comment["actor"])
    assert (await plane.call("DELETE", f"{path}{comment['id']}/")).status_code == 204


async def test_a_guest_may_comment_and_no_more(plane: PlaneTarget) -> None:
    if "guest" not in plane.keys:
        pytest.skip("no guest_key")
    made = await item(plane)
    refused = await plane.call("POST", "work-items/", by="guest", name="x")
    assert (refused.status_code, refused.json()) == (403, NOT_PERMITTED)
    assert (await plane.call("PATCH", f"work-items/{made['id']}/", by="guest", name="x")).status_code == 403
    said = await plane.call("POST", f"work-items/{made['id']}/comments/", by="guest", comment_html="<p>hi</p>")
    assert said.status_code == 201


async def test_relations_are_seen_from_both_ends_and_made_once(plane: PlaneTarget) -> None:
    one, two = (await item(plane, "One"))["id"], (await item(plane, "Two"))["id"]
    for _ in range(2):
        made = await plane.made(f"work-items/{one}/relations/", relation_type="blocked_by", issues=[two])
        assert [(row["id"], row["relation_type"]) for row in made] == [(two, "blocked_by")]
    seen = (await plane.call("GET", f"work-items/{one}/relations/")).json()
    assert [row["issue_id"] for row in seen["blocked_by"]] == [two]
    other = (await plane.call("GET", f"work-items/{two}/relations/")).json()
    assert [row["issue_id"] for row in other["blocking"]] == [one]
    assert other["blocked_by"] == []


async def test_the_history_tells_who_moved_it_when(plane: PlaneTarget, eventually: Any) -> None:
    states, made = await state_ids(plane), await item(plane)
    path = f"work-items/{made['id']}/"
    await plane.call("PATCH", path, state=states["In Progress"])

    async def moves() -> list[dict[str, Any]]:
        rows = (await plane.call("GET", f"{path}activities/")).json()["results"]
        return [row for row in rows if row["field"] == "state"]

    (move,) = await eventually(moves, timeout_s=60)
    assert (move["verb"], move["new_value"], move["new_identifier"]) == (
        "updated",
        "In Progress",
        states["In Progress"],
    )
    assert (move["old_identifier"], move["actor"]) == (made["state"], made["created_by"])


async def test_members_are_a_bare_list_and_roles_stand_with_the_workspace(plane: PlaneTarget) -> None:
    project, workspace = (
        (await plane.call("GET", "members/")).json(),
        await plane.call("GET", f"{plane.workspace}/members/"),
    )
    assert isinstance(project, list)
    assert "role" not in project[0]
    assert {row["role"] for row in workspace.json()} <= {5, 15, 20}
    assert (await plane.call("GET", "project-members/")).json() == project


async def test_an_items_key_finds_it_and_a_name_searches_it(plane: PlaneTarget) -> None:
    made, project = await item(plane, plane.unique("needle")), (await plane.call("GET", f"{plane.place}/")).json()
    key = f"{project['identifier']}-{made['sequence_id']}"
    assert (await plane.call("GET", f"{plane.workspace}/work-items/{key}/")).json()["id"] == made["id"]
    found = await plane.call("GET", f"{plane.workspace}/work-items/search/?search={made['name']}")
    (row,) = found.json()["issues"]
    assert (row["id"], row["project__identifier"], row["workspace__slug"]) == (
        made["id"],
        project["identifier"],
        plane.slug,
    )


async def test_a_deleted_item_is_gone(plane: PlaneTarget) -> None:
    path = f"work-items/{(await item(plane))['id']}/"
    assert (await plane.call("DELETE", path)).status_code == 204
    assert (await plane.call("GET", path)).status_code == 404
    assert (await plane.call("DELETE", path)).status_code == 404
