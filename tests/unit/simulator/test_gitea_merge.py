"""Gitea's table of answers to a merge, line by line."""

import asyncio
from typing import Any

import pytest

REPO = "orch/demo"
MERGE = "/pulls/1/merge"


@pytest.fixture
async def ready(hooked: Any) -> Any:
    """A pull request that can be merged."""
    await hooked.gitea.push(REPO, "agent/x", {"x": "1\n"})
    await hooked.gitea.open_pull(REPO, "agent/x", title="Task X")
    await hooked.gitea.checked(REPO, 1)
    await hooked.kinds()
    return hooked


async def test_a_merge_answers_200_without_a_body_and_tells_closed_before_push(ready: Any) -> None:
    merged = await ready.call("POST", MERGE, Do="merge")
    assert (merged.status_code, merged.content) == (200, b"")
    assert [kind[1:] for kind in await ready.kinds()] == [("pull_request", "closed"), ("push", "")]
    shown = (await ready.call("GET", "/pulls/1")).json()
    assert (shown["merged"], shown["merge_commit_sha"]) == (True, ready.gitea.branch_sha(REPO, "main"))
    assert (await ready.call("GET", MERGE)).status_code == 204
    by_commit = await ready.call("GET", f"/commits/{shown['merge_commit_sha']}/pull")
    assert by_commit.json()["number"] == 1


@pytest.mark.parametrize("style", ["merge", "rebase", "rebase-merge", "squash", "fast-forward-only"])
async def test_every_style_brings_the_change_and_its_own_history(ready: Any, style: str) -> None:
    if style != "fast-forward-only":
        await ready.gitea.push(REPO, "main", {"y": "1\n"})
        await ready.gitea.checked(REPO, 1)
    assert (await ready.call("POST", MERGE, Do=style)).status_code == 200
    assert await ready.gitea.read_file(REPO, "main", "x") == "1\n"
    tip = (await ready.call("GET", "/commits?limit=1")).json()[0]
    assert len(tip["parents"]) == (2 if style in ("merge", "rebase-merge") else 1)


async def test_the_head_branch_goes_when_asked_for(ready: Any) -> None:
    await ready.call("POST", MERGE, Do="squash", delete_branch_after_merge=True)
    assert ready.gitea.branch_sha(REPO, "agent/x") is None
    shown = (await ready.call("GET", "/pulls/1")).json()
    assert (shown["merged"], shown["head"]["ref"], shown["head"]["label"]) == (True, "refs/pull/1/head", "agent/x")


async def test_while_checking_it_is_405_try_again(ready: Any) -> None:
    ready.gitea.timing.checking_s = 0.3
    await ready.gitea.push(REPO, "agent/y", {"y": "1"})
    await ready.gitea.open_pull(REPO, "agent/y")
    refused = await ready.call("POST", "/pulls/2/merge", Do="merge")
    assert (refused.status_code, refused.json()["message"]) == (405, "Please try again later")
    await ready.gitea.checked(REPO, 2)
    assert (await ready.call("POST", "/pulls/2/merge", Do="merge")).status_code == 200


async def test_a_known_conflict_is_405_and_one_met_while_merging_is_409_without_message(ready: Any) -> None:
    ready.gitea.timing.stale_s = 30
    await ready.gitea.push(REPO, "main", {"x": "other\n"})
    met = await ready.call("POST", MERGE, Do="merge")
    assert met.status_code == 409
    assert set(met.json()) == {"Style", "StdOut", "StdErr", "Err"}
    await ready.gitea.checked(REPO, 1)
    known = await ready.call("POST", MERGE, Do="merge")
    assert (known.status_code, known.json()["message"]) == (405, "Please try again later")


async def test_a_conflict_met_by_a_squash_is_500(ready: Any) -> None:
    ready.gitea.timing.stale_s = 30
    await ready.gitea.push(REPO, "main", {"x": "other\n"})
    assert (await ready.call("POST", MERGE, Do="squash")).status_code == 500


async def test_the_guard_refuses_a_head_that_moved(ready: Any) -> None:
    refused = await ready.call("POST", MERGE, Do="merge", head_commit_id="1" * 40)
    assert (refused.status_code, refused.json()["message"]) == (409, "head out of date")
    await ready.gitea.checked(REPO, 1)
    head = ready.gitea.branch_sha(REPO, "agent/x")
    assert (await ready.call("POST", MERGE, Do="merge", head_commit_id=head)).status_code == 200


async def test_merged_is_405_closed_is_404_and_a_bad_style_is_422(ready: Any) -> None:
    bad = await ready.call("POST", MERGE, Do="octopus")
    assert (bad.status_code, bad.json()["message"]) == (422, "[Do]: In")
    ready.gitea.close_pull(REPO, 1)
    assert (await ready.call("POST", MERGE, Do="merge")).status_code == 404
    await ready.gitea.open_pull(REPO, "agent/x")
    await ready.gitea.merge_pull(REPO, 2)
    again = await ready.call("POST", "/pulls/2/merge", Do="merge")
    assert (again.status_code, again.json()["message"]) == (405, "The PR is already merged")
    assert (await ready.call("POST", "/pulls/9/merge", Do="merge")).status_code == 404


async def test_a_draft_and_a_reader_are_405(ready: Any) -> None:
    ready.gitea.create_user("reader")
    ready.gitea.add_collaborator(REPO, "reader", "read")
    reader = await ready.call("POST", MERGE, by="reader", Do="merge")
    assert (reader.status_code, reader.json()["message"]) == (405, "User not allowed to merge PR")
    await ready.call("PATCH", "/pulls/1", title="WIP: Task X")
    draft = await ready.call("POST", MERGE, Do="merge")
    assert (draft.status_code, draft.json()["message"]) == (405, "Work in progress PRs cannot be merged")


async def test_protection_asks_for_statuses_then_approvals(ready: Any) -> None:
    rule = {
        "rule_name": "main",
        "enable_status_check": True,
        "status_check_contexts": ["ci/*"],
        "required_approvals": 1,
    }
    assert (await ready.call("POST", "/branch_protections", **rule)).status_code == 201
    red = await ready.call("POST", MERGE, Do="merge")
    assert (red.status_code, red.json()["message"]) == (405, "Not all required status checks successful")
    await ready.gitea.set_status(REPO, "agent/x", "ci/test", "success")
    alone = await ready.call("POST", MERGE, Do="merge")
    assert (alone.status_code, alone.json()["message"]) == (405, "Does not have enough approvals")
    ready.gitea.approve_review(REPO, 1, by="critic")
    assert (await ready.call("POST", MERGE, Do="merge")).status_code == 200


async def test_of_two_merges_at_once_one_wins_and_the_other_may_try_again(ready: Any) -> None:
    await ready.gitea.push(REPO, "agent/y", {"y": "1"})
    await ready.gitea.open_pull(REPO, "agent/y")
    await ready.gitea.checked(REPO, 2)
    both = await asyncio.gather(*(ready.call("POST", f"/pulls/{number}/merge", Do="merge") for number in (1, 2)))
    assert sorted(answer.status_code for answer in both) in ([200, 405], [200, 409])
    (loser,) = [pull.number for pull in ready.gitea.pulls(REPO) if not pull.merged]
    await ready.gitea.merge_pull(REPO, loser)
    assert await ready.gitea.read_file(REPO, "main", "x") == "1\n"
    assert await ready.gitea.read_file(REPO, "main", "y") == "1"


async def test_merging_one_puts_the_others_back_to_checking(ready: Any) -> None:
    await ready.gitea.push(REPO, "agent/y", {"y": "1"})
    await ready.gitea.open_pull(REPO, "agent/y")
    await ready.gitea.checked(REPO, 2)
    ready.gitea.timing.checking_s = 0.3
    await ready.gitea.merge_pull(REPO, 1)
    assert (await ready.call("GET", "/pulls/2")).json()["mergeable"] is False
    refused = await ready.call("POST", "/pulls/2/merge", Do="merge")
    assert (refused.status_code, refused.json()["message"]) == (405, "Please try again later")
