"""The simulated Gitea's REST interface, trap by trap."""

import base64
from typing import Any

import pytest

REPO = "orch/demo"


async def test_wrong_tokens_are_401_strangers_see_404_and_missing_scopes_are_403(bench: Any) -> None:
    ask, path = bench.client.get, f"/api/v1/repos/{REPO}"
    assert (await ask(path, headers={"Authorization": "token nonsense"})).status_code == 401
    assert (await ask(path)).status_code == 404
    narrow = bench.gitea.create_token("orch", ("read:user",))
    refused = await ask(path, headers={"Authorization": f"Bearer {narrow}"})
    assert refused.status_code == 403
    assert "required scope(s)" in refused.json()["message"]
    assert (await ask("/api/v1/version")).json() == {"version": "1.26.4"}
    assert (await ask("/api/v1/user", auth=("orch", "secret"))).json()["login"] == "orch"


async def test_a_token_is_made_with_a_password_and_its_secret_is_under_sha1(bench: Any) -> None:
    path, form = "/api/v1/users/orch/tokens", {"name": "t", "scopes": ["write:repository"]}
    assert (await bench.client.post(path, json=form)).status_code == 401
    made = await bench.client.post(path, json=form, auth=("orch", "secret"))
    assert made.status_code == 201
    headers = {"Authorization": f"TOKEN {made.json()['sha1']}"}
    assert (await bench.client.get(f"/api/v1/repos/{REPO}", headers=headers)).status_code == 200
    assert (await bench.client.post(path, json=form, auth=("orch", "secret"))).status_code == 400


async def test_branches_are_made_once_found_by_commit_id_and_removed(bench: Any) -> None:
    order = {"new_branch_name": "agent/task-7", "old_ref_name": "main"}
    made = await bench.call("POST", "/branches", **order)
    assert made.status_code == 201
    assert made.json()["commit"]["id"] == bench.gitea.branch_sha(REPO, "main")
    assert (await bench.call("POST", "/branches", **order)).status_code == 409
    assert (await bench.call("POST", "/branches", new_branch_name="agent")).status_code == 409
    assert (await bench.call("GET", "/branches/agent%2Ftask-7")).json()["name"] == "agent/task-7"
    assert (await bench.call("DELETE", "/branches/agent/task-7")).status_code == 204
    assert (await bench.call("DELETE", "/branches/agent/task-7")).status_code == 404
    assert (await bench.call("GET", "/branches/agent/task-7")).status_code == 404
    assert (await bench.call("DELETE", "/branches/main")).status_code == 403


@pytest.mark.parametrize(
    ("order", "status"),
    [
        ({"new_branch_name": "x", "old_branch_name": "nowhere"}, 404),
        ({"new_branch_name": "x", "old_ref_name": "nowhere"}, 500),
        ({"new_branch_name": "bad..name"}, 422),
        ({"new_branch_name": "x" * 101}, 422),
    ],
)
async def test_branches_that_cannot_be_made(bench: Any, order: dict[str, str], status: int) -> None:
    assert (await bench.call("POST", "/branches", **order)).status_code == status


async def test_pages_that_are_no_numbers_are_the_first(bench: Any) -> None:
    for query in ("page=x&limit=y", "page=-1&limit=0", "page=&limit=900"):
        answer = await bench.call("GET", f"/branches?{query}")
        assert (answer.status_code, [one["name"] for one in answer.json()]) == (200, ["main"])


async def test_contents_are_base64_at_a_ref_folders_are_lists_and_raw_is_raw(bench: Any) -> None:
    sha = await bench.gitea.push(REPO, "agent/x", {"docs/a b.md": "ä\n", "docs/c.md": "c"})
    shown = (await bench.call("GET", f"/contents/docs/a%20b.md?ref={sha}")).json()
    assert (shown["encoding"], base64.b64decode(shown["content"]).decode()) == ("base64", "ä\n")
    listed = (await bench.call("GET", "/contents/docs?ref=agent/x")).json()
    assert [(one["path"], one["type"], one["content"]) for one in listed] == [
        ("docs/a b.md", "file", None),
        ("docs/c.md", "file", None),
    ]
    assert (await bench.call("GET", "/contents/docs")).status_code == 404
    assert (await bench.call("GET", "/raw/docs/c.md?ref=agent/x")).text == "c"


async def test_files_are_made_once_and_changed_with_their_blob_sha(bench: Any) -> None:
    form = {"content": base64.b64encode(b"one").decode(), "message": "m", "branch": "main"}
    made = await bench.call("POST", "/contents/a.txt", **form)
    assert (made.status_code, made.json()["commit"]["sha"]) == (201, bench.gitea.branch_sha(REPO, "main"))
    assert (await bench.call("POST", "/contents/a.txt", **form)).status_code == 422
    assert (await bench.call("PUT", "/contents/a.txt", **form, sha="0" * 40)).status_code == 422
    blob = made.json()["content"]["sha"]
    assert (await bench.call("PUT", "/contents/a.txt", **form | {"sha": blob, "content": ""})).status_code == 200
    assert await bench.gitea.read_file(REPO, "main", "a.txt") == ""


async def test_statuses_take_any_word_and_show_it_under_status(bench: Any) -> None:
    sha = bench.gitea.branch_sha(REPO, "main")
    posted = await bench.call("POST", f"/statuses/{sha}", state="bogus", context="ci")
    assert (posted.status_code, posted.json()["status"]) == (201, "bogus")
    assert "state" not in posted.json()
    assert (await bench.call("POST", f"/statuses/{'1' * 40}", state="success")).status_code == 500


async def test_no_status_is_200_pending_and_zero(bench: Any) -> None:
    answer = await bench.call("GET", f"/commits/{bench.gitea.branch_sha(REPO, 'main')}/status")
    shown = answer.json()
    assert (answer.status_code, shown["state"], shown["total_count"], shown["statuses"]) == (200, "pending", 0, None)


async def test_the_combined_status_knows_only_its_page(bench: Any) -> None:
    for context, state in (("a", "failure"), ("a", "success"), ("b", "failure"), ("c", "success")):
        await bench.gitea.set_status(REPO, "main", context, state)
    sha = bench.gitea.branch_sha(REPO, "main")
    first = await bench.call("GET", f"/commits/{sha}/status?limit=1")
    assert (first.json()["state"], first.json()["total_count"]) == ("success", 1)
    assert (first.headers["x-total-count"], 'rel="next"' in first.headers["link"]) == ("3", True)
    assert (await bench.call("GET", f"/commits/{sha}/status")).json()["state"] == "failure"
    rows = (await bench.call("GET", f"/statuses/{sha}")).json()
    assert [(one["context"], one["id"]) for one in rows] == [("c", 4), ("b", 3), ("a", 2), ("a", 1)]


async def test_pull_requests_are_listed_without_a_head_filter(bench: Any) -> None:
    for branch in ("agent/x", "agent/y"):
        await bench.gitea.push(REPO, branch, {branch: "1"})
        await bench.gitea.open_pull(REPO, branch)
    listed = await bench.call("GET", "/pulls?head=agent/x")
    assert [one["head"]["ref"] for one in listed.json()] == ["agent/y", "agent/x"]
    assert (await bench.call("GET", "/pulls/main/agent/x")).json()["number"] == 1
    assert (await bench.call("GET", "/pulls/main/agent/z")).status_code == 404


async def test_a_second_pull_request_is_409_and_names_the_first(bench: Any) -> None:
    await bench.gitea.push(REPO, "agent/x", {"x": "1"})
    form = {"head": "agent/x", "base": "main", "title": "T"}
    made = await bench.call("POST", "/pulls", **form)
    assert (made.status_code, made.json()["mergeable"]) == (201, False)
    again = await bench.call("POST", "/pulls", **form)
    assert again.status_code == 409
    assert "issue_id: 1," in again.json()["message"]
    assert (await bench.call("POST", "/pulls", **form | {"head": "main"})).status_code == 422
    assert (await bench.call("POST", "/pulls", **form | {"head": "nowhere"})).status_code == 404


async def test_by_branches_finds_the_oldest_whatever_became_of_it(bench: Any) -> None:
    await bench.gitea.push(REPO, "agent/x", {"x": "1"})
    await bench.gitea.open_pull(REPO, "agent/x")
    bench.gitea.close_pull(REPO, 1)
    await bench.gitea.open_pull(REPO, "agent/x")
    assert (await bench.call("GET", "/pulls/main/agent/x")).json()["state"] == "closed"


async def test_patch_answers_201_and_a_merged_state_stays(bench: Any) -> None:
    await bench.gitea.push(REPO, "agent/x", {"x": "1"})
    await bench.gitea.open_pull(REPO, "agent/x")
    patched = await bench.call("PATCH", "/pulls/1", title="New", state="closed")
    assert (patched.status_code, patched.json()["title"], patched.json()["state"]) == (201, "New", "closed")
    await bench.call("PATCH", "/pulls/1", state="open")
    await bench.gitea.merge_pull(REPO, 1)
    assert (await bench.call("PATCH", "/pulls/1", state="open")).status_code == 412


async def test_mergeable_is_true_when_stale_false_while_checking_then_true(bench: Any) -> None:
    await bench.gitea.push(REPO, "agent/x", {"x": "1"})
    await bench.gitea.open_pull(REPO, "agent/x")
    await bench.gitea.checked(REPO, 1)
    bench.gitea.timing.stale_s = bench.gitea.timing.checking_s = 0.15
    await bench.gitea.push(REPO, "main", {"x": "other\n"})
    seen: list[bool] = []
    while len(seen) < 2 or bench.gitea.pull(REPO, 1).check == "checking":
        now = (await bench.call("GET", "/pulls/1")).json()["mergeable"]
        if not seen or seen[-1] != now:
            seen.append(now)
    await bench.gitea.settled()
    assert seen == [True, False]
    assert bench.gitea.pull(REPO, 1).check == "conflict"


async def test_a_pull_request_without_changes_looks_mergeable_and_never_is(bench: Any) -> None:
    await bench.call("POST", "/branches", new_branch_name="agent/empty")
    made = await bench.call("POST", "/pulls", head="agent/empty", base="main", title="T")
    assert made.status_code == 201
    await bench.gitea.checked(REPO, 1)
    assert (await bench.call("GET", "/pulls/1")).json()["mergeable"] is True
    refused = await bench.call("POST", "/pulls/1/merge", Do="merge")
    assert (refused.status_code, refused.json()["message"]) == (405, "Please try again later")


async def test_updating_brings_the_base_into_the_head_by_merge_and_by_rebase(bench: Any) -> None:
    for style in ("merge", "rebase"):
        await bench.gitea.push(REPO, style, {style: "1"})
        await bench.gitea.push(REPO, "main", {f"main-{style}": "1"})
        pull = await bench.gitea.open_pull(REPO, style)
        assert (await bench.call("POST", f"/pulls/{pull.number}/update?style={style}")).status_code == 200
        assert await bench.gitea.read_file(REPO, style, f"main-{style}") == "1"
        commits = (await bench.call("GET", f"/pulls/{pull.number}/commits")).json()
        assert len(commits) == (2 if style == "merge" else 1)
    assert (await bench.call("POST", "/pulls/2/update")).status_code == 500  # up to date: an error not foreseen
    await bench.gitea.push(REPO, "main", {"merge": "clash"})
    assert (await bench.call("POST", "/pulls/1/update")).status_code == 409


async def test_reviews_name_their_commit_and_go_stale(bench: Any) -> None:
    first = await bench.gitea.push(REPO, "agent/x", {"x": "1"})
    await bench.gitea.open_pull(REPO, "agent/x")
    given = await bench.call("POST", "/pulls/1/reviews", by="critic", event="APPROVED", body="ok")
    assert (given.status_code, given.json()["commit_id"], given.json()["stale"]) == (200, first, False)
    await bench.gitea.push(REPO, "agent/x", {"x": "2"})
    (review,) = (await bench.call("GET", "/pulls/1/reviews")).json()
    assert (review["state"], review["stale"], review["official"], review["dismissed"]) == (
        "APPROVED",
        True,
        False,
        False,
    )


async def test_ones_own_pull_request_cannot_be_approved(bench: Any) -> None:
    await bench.gitea.push(REPO, "agent/x", {"x": "1"})
    await bench.gitea.open_pull(REPO, "agent/x")
    own = await bench.call("POST", "/pulls/1/reviews", event="APPROVED")
    assert own.status_code == 422
    assert "your own pull" in own.json()["message"]
    bare = await bench.call("POST", "/pulls/1/reviews", by="critic", event="REQUEST_CHANGES")
    assert bare.status_code == 422
    bench.gitea.close_pull(REPO, 1)
    late = await bench.call("POST", "/pulls/1/reviews", by="critic", event="APPROVED")
    assert late.status_code == 422


async def test_githubs_word_makes_a_silent_draft(hooked: Any) -> None:
    await hooked.gitea.push(REPO, "agent/x", {"x": "1"})
    await hooked.gitea.open_pull(REPO, "agent/x")
    await hooked.kinds()
    given = await hooked.call("POST", "/pulls/1/reviews", by="critic", event="APPROVE")
    assert (given.status_code, given.json()["state"]) == (200, "PENDING")
    assert await hooked.kinds() == []


async def test_hooks_sleep_unless_told_and_never_show_their_secret(bench: Any) -> None:
    config = {"url": bench.receiver_url, "content_type": "json", "secret": "s"}
    made = (await bench.call("POST", "/hooks", type="gitea", config=config)).json()
    assert (made["active"], made["events"], "secret" in made["config"]) == (False, ["push"], False)
    await bench.gitea.push(REPO, "main", {"a": "1"})
    assert await bench.kinds() == []
    assert (await bench.call("POST", "/hooks", type="gitea", config={})).status_code == 422
    assert (await bench.call("GET", "/hooks", by="critic")).status_code == 403


async def test_patching_a_hook_resets_what_it_does_not_say_and_keeps_the_secret(bench: Any) -> None:
    config = {"url": bench.receiver_url, "content_type": "json", "secret": "s"}
    form = {"type": "gitea", "active": True, "config": config, "events": ["pull_request"], "branch_filter": "a*"}
    made = (await bench.call("POST", "/hooks", **form)).json()
    assert {"pull_request", "pull_request_sync", "pull_request_review"} <= set(made["events"])
    patched = await bench.call("PATCH", f"/hooks/{made['id']}", active=True, config={"secret": "other"})
    assert (patched.json()["events"], patched.json()["branch_filter"]) == (["push"], "")
    assert bench.gitea.repo(REPO).hooks[made["id"]].secret == "s"


async def test_comments_need_the_issue_scope_and_are_kept(bench: Any) -> None:
    await bench.gitea.push(REPO, "agent/x", {"x": "1"})
    await bench.gitea.open_pull(REPO, "agent/x")
    narrow = {"Authorization": f"token {bench.gitea.create_token('orch', ('write:repository',))}"}
    path = f"/api/v1/repos/{REPO}/issues/1/comments"
    assert (await bench.client.post(path, headers=narrow, json={"body": "x"})).status_code == 403
    made = await bench.call("POST", "/issues/1/comments", body="hello")
    assert made.status_code == 201
    assert (await bench.call("PATCH", f"/issues/comments/{made.json()['id']}", body="changed")).status_code == 200
    assert [one["body"] for one in (await bench.call("GET", "/issues/1/comments")).json()] == ["changed"]


async def test_ordered_faults_strike_once(bench: Any) -> None:
    bench.gitea.rest_faults.order("GET /api/v1/repos/orch/demo/pulls")
    refused = await bench.call("GET", "/pulls")
    assert (refused.status_code, refused.json()["message"]) == (500, "")
    assert (await bench.call("GET", "/pulls")).status_code == 200


async def test_compare_lists_what_the_head_has_more(bench: Any) -> None:
    sha = await bench.gitea.push(REPO, "agent/x", {"x": "1"})
    shown = (await bench.call("GET", "/compare/main...agent/x")).json()
    assert [one["sha"] for one in shown["commits"]] == [sha]
    assert (await bench.call("GET", f"/git/commits/{sha}")).json()["files"] == [{"filename": "x", "status": "added"}]
