"""What a Gitea or Forgejo answers: who is who, branches, files, statuses, pages, hooks and the errors of each."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.fidelity.comparing import differences
from tests.fidelity.targets import GiteaTarget

pytestmark = pytest.mark.timeout(300)

GOLDEN = json.loads((Path(__file__).parent / "golden" / "gitea-shapes.json").read_text(encoding="utf-8"))
NO_COMMIT = "1" * 40


def unlike(shape: str, got: Any) -> list[str]:
    """What was captured from a real Gitea and is missing or of another type here."""
    return list(differences(GOLDEN[shape], got, is_strict=False))


async def test_the_version_is_told_to_anybody(gitea: GiteaTarget) -> None:
    answer = await gitea.ask("GET", "/version", by="nobody")
    assert (answer.status_code, list(answer.json())) == (200, ["version"])
    assert ("+gitea-" in answer.json()["version"]) is gitea.is_forgejo


async def test_what_is_shown_has_the_shape_of_the_captures(gitea: GiteaTarget) -> None:
    sha = await gitea.commit("agent/x", "x.txt", "x\n")
    number = await gitea.pull("agent/x")
    assert unlike("user", (await gitea.ask("GET", "/user")).json()) == []
    assert unlike("repository", (await gitea.call("GET", "")).json()) == []
    assert unlike("pull_request", (await gitea.call("GET", f"/pulls/{number}")).json()) == []
    branch = (await gitea.call("GET", "/branches/agent/x")).json()
    assert (unlike("commit", branch["commit"]), branch["commit"]["id"]) == ([], sha)
    said = await gitea.call("POST", f"/issues/{number}/comments", body="hello")
    assert (said.status_code, unlike("comment", said.json())) == (201, [])


async def test_a_wrong_token_is_401_and_a_hidden_repository_404(gitea: GiteaTarget) -> None:
    gitea.tokens["stranger"] = "0" * 40
    refused = await gitea.ask("GET", "/user", by="stranger")
    assert refused.status_code == 401
    assert refused.json()["message"]
    assert (await gitea.ask("GET", "/user", by="nobody")).status_code == 401
    for path in ("", "/branches", "/pulls"):
        assert (await gitea.call("GET", path, by="nobody")).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        *("/branches/nowhere", "/contents/nothing.txt", "/pulls/99", "/pulls/99/reviews", "/pulls/main/nowhere"),
        *("/pulls/99/merge", "/hooks/999999", f"/commits/{NO_COMMIT}/pull", "/compare/main...nowhere"),
    ],
)
async def test_what_is_not_there_is_404(gitea: GiteaTarget, path: str) -> None:
    assert (await gitea.call("GET", path)).status_code == 404


async def test_a_branch_is_made_once_and_removed_once(gitea: GiteaTarget) -> None:
    order = {"new_branch_name": "agent/task-7", "old_ref_name": "main"}
    made = await gitea.call("POST", "/branches", **order)
    assert (made.status_code, made.json()["name"]) == (201, "agent/task-7")
    assert (await gitea.call("POST", "/branches", **order)).status_code == 409
    for spelling in ("agent/task-7", "agent%2Ftask-7"):
        assert (await gitea.call("GET", f"/branches/{spelling}")).json()["commit"] == made.json()["commit"]
    assert (await gitea.call("DELETE", "/branches/agent/task-7")).status_code == 204
    assert (await gitea.call("DELETE", "/branches/agent/task-7")).status_code == 404
    assert (await gitea.call("DELETE", "/branches/main")).status_code == 403


@pytest.mark.parametrize(
    ("order", "status"),
    [
        ({"new_branch_name": "x", "old_branch_name": "nowhere"}, 404),
        ({"new_branch_name": "x", "old_ref_name": "nowhere"}, 500),
        ({"new_branch_name": "bad..name"}, 422),
        ({"new_branch_name": "x" * 101}, 422),
        ({"new_branch_name": "main/below"}, 409),
    ],
)
async def test_a_branch_that_cannot_be_made(gitea: GiteaTarget, order: dict[str, str], status: int) -> None:
    assert (await gitea.call("POST", "/branches", **order)).status_code == status


async def test_files_are_made_once_and_changed_with_the_blobs_sha(gitea: GiteaTarget) -> None:
    body = {"content": base64.b64encode(b"one\n").decode(), "message": "Write", "branch": "main"}
    made = await gitea.call("POST", "/contents/docs/a.md", **body)
    assert made.status_code == 201
    assert (await gitea.call("POST", "/contents/docs/a.md", **body)).status_code == 422
    assert (await gitea.call("PUT", "/contents/docs/a.md", **body, sha="0" * 40)).status_code == 422
    blob = made.json()["content"]["sha"]
    assert (await gitea.call("PUT", "/contents/docs/a.md", **body, sha=blob)).status_code == 200
    shown = (await gitea.call("GET", f"/contents/docs/a.md?ref={made.json()['commit']['sha']}")).json()
    assert (shown["type"], shown["encoding"], base64.b64decode(shown["content"])) == ("file", "base64", b"one\n")
    (entry,) = (await gitea.call("GET", "/contents/docs")).json()
    assert (entry["name"], entry["type"], entry["content"]) == ("a.md", "file", None)


async def test_a_status_takes_any_word_and_shows_it_under_another_key(gitea: GiteaTarget) -> None:
    sha = await gitea.commit("agent/x", "x.txt", "x\n")
    posted = await gitea.call("POST", f"/statuses/{sha}", state="bogus", context="ci/odd")
    assert (posted.status_code, posted.json()["status"], "state" in posted.json()) == (201, "bogus", False)
    assert (await gitea.call("POST", f"/statuses/{NO_COMMIT}", state="success")).status_code == 500


async def test_no_status_is_an_answer_and_never_green(gitea: GiteaTarget) -> None:
    sha = await gitea.commit("agent/x", "x.txt", "x\n")
    answer = await gitea.call("GET", f"/commits/{sha}/status")
    shown = answer.json()
    assert (answer.status_code, shown["total_count"], shown["statuses"]) == (200, 0, None)
    assert shown["state"] in ("", "pending")


async def test_a_combined_status_is_of_the_asked_page_alone(gitea: GiteaTarget) -> None:
    sha = await gitea.commit("agent/x", "x.txt", "x\n")
    for context, state in (("a", "failure"), ("a", "success"), ("b", "failure"), ("c", "success")):
        await gitea.call("POST", f"/statuses/{sha}", state=state, context=context)
    pages = [await gitea.call("GET", f"/commits/{sha}/status?limit=1&page={number}") for number in (1, 2, 3)]
    assert {page.headers["x-total-count"] for page in pages} == {"3"}
    assert {page.json()["total_count"] for page in pages} == {1}
    told = {page.json()["statuses"][0]["context"]: page.json()["state"] for page in pages}
    assert told == {"a": "success", "b": "failure", "c": "success"}
    assert (await gitea.call("GET", f"/commits/{sha}/status")).json()["state"] == "failure"
    rows = (await gitea.call("GET", f"/statuses/{sha}")).json()
    assert [row["context"] for row in rows] == ["c", "b", "a", "a"]


async def test_lists_are_cut_into_pages_that_tell_how_much_there_is(gitea: GiteaTarget) -> None:
    for name in ("one", "two"):
        await gitea.call("POST", "/branches", new_branch_name=name, old_ref_name="main")
    first = await gitea.call("GET", "/branches?limit=2")
    assert (len(first.json()), first.headers["x-total-count"], 'rel="next"' in first.headers["link"]) == (2, "3", True)
    assert len((await gitea.call("GET", "/branches?limit=2&page=2")).json()) == 1
    assert (await gitea.call("GET", "/branches?limit=2&page=9")).json() == []
    assert len((await gitea.call("GET", "/branches?limit=900")).json()) == 3


async def hook(gitea: GiteaTarget, **more: Any) -> dict[str, Any]:
    config = {"url": "http://127.0.0.1:9/hook", "content_type": "json", "secret": "s3cr3t"}
    made = await gitea.call("POST", "/hooks", **{"type": "gitea", "config": config, **more})
    assert made.status_code == 201, made.text
    return dict(made.json())


async def test_a_hook_is_asleep_deaf_and_secretive_unless_told(gitea: GiteaTarget) -> None:
    plain = await hook(gitea)
    assert (plain["active"], plain["events"], "secret" in plain["config"]) == (False, ["push"], False)
    full = await hook(gitea, active=True, events=["push", "pull_request", "no_such_event"], branch_filter="agent/*")
    assert full["active"]
    assert {"push", "pull_request", "pull_request_sync"} <= set(full["events"])
    assert any(name.startswith("pull_request_review") for name in full["events"])
    assert "no_such_event" not in full["events"]
    patched = await gitea.call("PATCH", f"/hooks/{full['id']}", active=False)
    assert (patched.status_code, patched.json()["events"], patched.json()["branch_filter"]) == (200, ["push"], "")
    assert (await gitea.call("DELETE", f"/hooks/{full['id']}")).status_code == 204
    assert (await gitea.call("DELETE", f"/hooks/{full['id']}")).status_code == 404
    assert [row["id"] for row in (await gitea.call("GET", "/hooks")).json()] == [plain["id"]]


async def test_statuses_can_be_subscribed_to_on_gitea_alone(gitea: GiteaTarget) -> None:
    made = await hook(gitea, active=True, events=["push", "status", "workflow_run"])
    assert ("status" in made["events"], "workflow_run" in made["events"]) == ((not gitea.is_forgejo,) * 2)


@pytest.mark.parametrize(
    "body",
    [
        {"type": "carrier-pigeon", "config": {"url": "http://127.0.0.1:9/", "content_type": "json"}},
        {"type": "gitea", "config": {"content_type": "json"}},
        {"type": "gitea", "config": {"url": "http://127.0.0.1:9/"}},
        {"type": "gitea", "config": {"url": "http://127.0.0.1:9/", "content_type": "yaml"}},
    ],
)
async def test_a_hook_that_cannot_be_made_is_422(gitea: GiteaTarget, body: dict[str, Any]) -> None:
    assert (await gitea.call("POST", "/hooks", **body)).status_code == 422


async def test_who_is_no_admin_may_not_look_at_hooks(gitea: GiteaTarget) -> None:
    assert (await gitea.call("GET", "/hooks", by=gitea.other())).status_code == 403
    seen = (await gitea.call("GET", "", by=gitea.other())).json()
    assert seen["permissions"] == {"admin": False, "push": True, "pull": True}


async def test_an_archived_repository_can_be_read_and_not_changed(gitea: GiteaTarget) -> None:
    await gitea.commit("agent/x", "x.txt", "x\n")
    number = await gitea.pull("agent/x")
    archived = await gitea.call("PATCH", "", archived=True)
    assert (archived.status_code, archived.json()["archived"]) == (200, True)
    assert (await gitea.call("GET", f"/pulls/{number}")).status_code == 200
    for method, path, body in (
        ("POST", "/branches", {"new_branch_name": "agent/y", "old_ref_name": "main"}),
        ("DELETE", "/branches/agent/x", {}),
        ("POST", f"/pulls/{number}/merge", {"Do": "merge"}),
    ):
        assert (await gitea.call(method, path, **body)).status_code == 423, path
    assert (await gitea.call("PATCH", "", archived=False)).json()["archived"] is False
    assert (await gitea.call("DELETE", "/branches/agent/x")).status_code == 204
