"""The simulated Gitea's webhooks: the shapes of real captures, signed as theirs, sent at most once."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

REPO = "orch/demo"
GOLDEN = Path(__file__).parent / "golden" / "gitea"
OWN_TO_ONE_TEST = {"commits", "labels", "added", "removed", "modified"}


def differences(golden: Any, ours: Any, where: str = "") -> list[str]:
    """Keys that the capture has and we lack, and values of another type; null fits everything."""
    if golden is None or ours is None:
        return []
    if isinstance(golden, dict) and isinstance(ours, dict):
        missing = [f"{where}.{key} is missing" for key in golden.keys() - ours.keys()]
        deeper = [differences(golden[key], ours[key], f"{where}.{key}") for key in golden.keys() & ours.keys()]
        return missing + [one for found in deeper for one in found]
    return [] if type(golden) is type(ours) else [f"{where}: {type(ours).__name__}, not {type(golden).__name__}"]


def capture(name: str) -> dict[str, Any]:
    return json.loads((GOLDEN / f"{name}.json").read_text())


async def story(bench: Any) -> None:
    """Everything that the captures show, once."""
    gitea = bench.gitea
    await gitea.push(REPO, "agent/task-1", {"x.py": "x = 1\n"})
    await gitea.open_pull(REPO, "agent/task-1", title="Task 1")
    gitea.request_changes(REPO, 1, "please fix", by="critic")
    gitea.approve_review(REPO, 1, by="critic")
    gitea.comment(REPO, 1, "hi there", by="critic")
    await bench.call("PATCH", "/pulls/1", title="Task 1 renamed")
    await gitea.push(REPO, "agent/task-1", {"x.py": "x = 2\n"})
    await gitea.merge_pull(REPO, 1)
    await gitea.delete_branch(REPO, "agent/task-1")
    await gitea.settled()


@pytest.mark.parametrize(
    "name",
    [
        "create-1",
        "push-1",
        "pull_request-opened-1",
        "pull_request_review_rejected-reviewed-1",
        "pull_request_review_approved-reviewed-1",
        "pull_request_comment-created-1",
        "pull_request-edited-1",
        "pull_request_sync-synchronized-1",
        "pull_request-closed-merged-1",
        "delete-1",
    ],
)
async def test_deliveries_have_the_shape_of_the_capture(hooked: Any, name: str) -> None:
    await story(hooked)
    golden = capture(name)
    body = json.loads(golden["body"])
    kind = (golden["headers"]["X-Gitea-Event"], golden["headers"]["X-Gitea-Event-Type"], body.get("action", ""))
    ours = next(one for one in hooked.heard if one.kind == kind)
    assert differences(body, ours.body) == []
    assert {key.lower() for key in golden["headers"]} - set(ours.headers) == set()


async def test_a_life_is_told_in_this_order(hooked: Any) -> None:
    await story(hooked)
    assert [one.kind for one in hooked.heard] == [
        ("create", "create", ""),
        ("push", "push", ""),
        ("pull_request", "pull_request", "opened"),
        ("pull_request_rejected", "pull_request_review_rejected", "reviewed"),
        ("pull_request_approved", "pull_request_review_approved", "reviewed"),
        ("issue_comment", "pull_request_comment", "created"),
        ("pull_request", "pull_request", "edited"),
        ("push", "push", ""),
        ("pull_request", "pull_request_sync", "synchronized"),
        ("pull_request", "pull_request", "closed"),
        ("push", "push", ""),
        ("delete", "delete", ""),
    ]


async def test_all_three_brands_and_both_signatures_are_on_one_request(hooked: Any) -> None:
    await hooked.gitea.push(REPO, "main", {"a": "1"})
    heard = await hooked.last()
    digest = hmac.new(b"s3cr3t", heard.raw, hashlib.sha256).hexdigest()
    assert heard.headers["x-gitea-signature"] == heard.headers["x-gogs-signature"] == digest
    assert heard.headers["x-hub-signature-256"] == f"sha256={digest}"
    assert {heard.headers[f"x-{brand}-event"] for brand in ("gitea", "gogs", "github")} == {"push"}
    assert heard.raw.startswith(b'{\n  "ref": "refs/heads/main"')


async def test_without_a_secret_the_signatures_are_empty(bench: Any) -> None:
    bench.gitea.add_hook(REPO, bench.receiver_url, "")
    await bench.gitea.push(REPO, "main", {"a": "1"})
    heard = await bench.last()
    assert (heard.headers["x-gitea-signature"], heard.headers["x-hub-signature-256"]) == ("", "sha256=")


async def test_a_status_names_no_branch_and_its_state_is_under_state(hooked: Any) -> None:
    sha = await hooked.gitea.push(REPO, "agent/x", {"a": "1"})
    await hooked.gitea.set_status(REPO, "agent/x", "ci/test", "success")
    heard = await hooked.last()
    assert heard.kind == ("status", "status", "")
    assert (heard.body["sha"], heard.body["state"], heard.body["context"]) == (sha, "success", "ci/test")
    assert "agent/x" not in heard.raw.decode()
    assert set(heard.body) == {
        *("commit", "context", "created_at", "description", "id", "repository"),
        *("sender", "sha", "state", "target_url", "updated_at"),
    }


async def test_a_failed_delivery_is_never_sent_again(bench: Any) -> None:
    bench.gitea.add_hook(REPO, f"{bench.gitea.url}/nobody", "s")
    await bench.gitea.push(REPO, "main", {"a": "1"})
    await bench.gitea.settled()
    assert [(one.status, one.final) for one in bench.gitea.courier.deliveries] == [(404, True)]
    assert bench.gitea.courier.policy.timeout_s == 5.0


async def test_quietly_does_the_same_without_a_webhook(hooked: Any) -> None:
    with hooked.gitea.quietly():
        await hooked.gitea.push(REPO, "agent/x", {"a": "1"})
        await hooked.gitea.open_pull(REPO, "agent/x")
    assert await hooked.kinds() == []
    hooked.gitea.approve_review(REPO, 1, by="critic")
    assert await hooked.kinds() == [("pull_request_approved", "pull_request_review_approved", "reviewed")]


async def test_the_head_in_a_payload_is_that_of_sending_not_of_happening(hooked: Any) -> None:
    await hooked.gitea.push(REPO, "agent/x", {"a": "1"})
    await hooked.gitea.settled()
    hooked.gitea.courier.hold()
    pull = await hooked.gitea.open_pull(REPO, "agent/x")
    opened_at = pull.head_sha
    with hooked.gitea.quietly():
        moved_to = await hooked.gitea.push(REPO, "agent/x", {"a": "2"})
    hooked.gitea.courier.release()
    heard = await hooked.last()
    assert opened_at != moved_to
    assert heard.body["pull_request"]["head"]["sha"] == moved_to


async def test_the_courier_loses_doubles_and_turns_around(hooked: Any) -> None:
    courier = hooked.gitea.courier
    courier.drop_next(match="create")
    courier.duplicate_next(match="push")
    await hooked.gitea.push(REPO, "agent/x", {"a": "1"})
    await hooked.gitea.settled()
    ids = [one.headers["x-gitea-delivery"] for one in hooked.heard]
    assert [one.kind[0] for one in hooked.heard] == ["push", "push"]
    assert len(set(ids)) == 2
    hooked.heard.clear()
    courier.reorder_next(2)
    await hooked.gitea.push(REPO, "agent/y", {"a": "2"})
    assert [kind[0] for kind in await hooked.kinds()] == ["push", "create"]


async def test_the_test_delivery_is_a_push_from_a_commit_to_itself(hooked: Any) -> None:
    assert (await hooked.call("POST", "/hooks/1/tests")).status_code == 204
    heard = await hooked.last()
    assert heard.body["before"] == heard.body["after"] == hooked.gitea.branch_sha(REPO, "main")


async def test_a_payload_shows_five_commits_and_counts_all(hooked: Any) -> None:
    await hooked.gitea.push(REPO, "agent/x", {"a": "0"})
    base = hooked.gitea.branch_sha(REPO, "agent/x")
    with hooked.gitea.quietly():
        tip = [await hooked.gitea.push(REPO, "agent/y", {"a": str(number)}) for number in range(1, 8)][-1]
    await hooked.gitea.reset_branch(REPO, "main", tip)
    heard = await hooked.last()
    assert (len(heard.body["commits"]), heard.body["total_commits"]) == (5, 7)
    assert base is not None


async def test_hooks_hear_only_what_they_subscribed_to_on_their_branches(bench: Any) -> None:
    made = await bench.call(
        "POST",
        "/hooks",
        type="gitea",
        active=True,
        config={"url": bench.receiver_url, "content_type": "json"},
        events=["push", "pull_request_review", "nonsense"],
        branch_filter="agent/*",
    )
    assert made.json()["events"] == ["push", "pull_request_review"]
    await bench.gitea.push(REPO, "main", {"a": "1"})
    await bench.gitea.push(REPO, "agent/x", {"a": "2"})
    await bench.gitea.open_pull(REPO, "agent/x")
    bench.gitea.comment_review(REPO, 1, "hm", by="critic")
    assert await bench.kinds() == [
        ("push", "push", ""),
        ("pull_request_comment", "pull_request_review_comment", "reviewed"),
    ]


async def test_ci_answers_pushes_to_branches_with_pending_and_a_verdict(hooked: Any) -> None:
    hooked.gitea.enable_ci(REPO, decide=lambda branch, _sha: "failure" if branch == "bad" else "success")
    await hooked.gitea.push(REPO, "main", {"a": "1"})
    await hooked.kinds()
    for branch in ("good", "bad"):
        await hooked.gitea.push(REPO, branch, {branch: "1"})
    await hooked.gitea.settled()
    statuses = [(one.body["sha"], one.body["state"]) for one in hooked.heard if one.kind[0] == "status"]
    good, bad = (hooked.gitea.branch_sha(REPO, branch) for branch in ("good", "bad"))
    assert sorted(statuses) == sorted([(good, "pending"), (good, "success"), (bad, "pending"), (bad, "failure")])
