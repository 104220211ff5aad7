"""Pull requests on a Gitea or Forgejo: opened, reviewed, brought up to date, merged, and every way of being refused."""

import re

import pytest

from tests.fidelity.targets import GiteaTarget

pytestmark = pytest.mark.timeout(300)

NO_COMMIT = "1" * 40


async def test_a_pull_request_is_opened_once_and_the_second_names_the_first(gitea: GiteaTarget) -> None:
    await gitea.commit("agent/x", "x.txt", "x\n")
    number = await gitea.pull("agent/x")
    again = await gitea.call("POST", "/pulls", head="agent/x", base="main", title="again")
    assert again.status_code == 409
    assert re.search(r"issue_id: (\d+)", again.json()["message"])[1] == str(number)  # type: ignore[index] # found or not
    itself = await gitea.call("POST", "/pulls", head="main", base="main", title="x")
    assert itself.status_code == 422
    assert (await gitea.call("POST", "/pulls", head="nowhere", base="main", title="x")).status_code == 404


async def test_one_without_any_change_is_opened_and_can_never_be_merged(gitea: GiteaTarget) -> None:
    await gitea.call("POST", "/branches", new_branch_name="agent/idle", old_ref_name="main")
    number = await gitea.pull("agent/idle")
    await gitea.judged(number)
    refused = await gitea.call("POST", f"/pulls/{number}/merge", Do="merge")
    assert (refused.status_code, "try again later" in refused.text) == (405, True)


async def test_there_is_no_filter_by_head_but_a_way_by_both_ends(gitea: GiteaTarget) -> None:
    for branch in ("agent/x", "agent/y"):
        await gitea.commit(branch, f"{branch[-1]}.txt", "1\n")
    one, two = await gitea.pull("agent/x"), await gitea.pull("agent/y")
    listed = await gitea.call("GET", "/pulls?head=agent/x")
    assert [row["number"] for row in listed.json()] == [two, one]
    assert (await gitea.call("GET", "/pulls/main/agent/x")).json()["number"] == one
    filtered = (await gitea.call("GET", "/pulls?base_branch=elsewhere")).json()
    assert len(filtered) == (2 if gitea.is_forgejo else 0)


async def test_a_change_answers_201_and_a_closed_one_is_told_as_gone(gitea: GiteaTarget) -> None:
    await gitea.commit("agent/x", "x.txt", "x\n")
    number = await gitea.pull("agent/x")
    renamed = await gitea.call("PATCH", f"/pulls/{number}", title="Renamed")
    assert (renamed.status_code, renamed.json()["title"]) == (201, "Renamed")
    closed = await gitea.call("PATCH", f"/pulls/{number}", state="closed")
    assert (closed.status_code, closed.json()["state"], closed.json()["merged"]) == (201, "closed", False)
    assert (await gitea.call("POST", f"/pulls/{number}/merge", Do="merge")).status_code == 404
    assert (await gitea.call("POST", f"/pulls/{number}/update")).status_code == 422


async def test_a_merge_is_guarded_by_the_head_answers_nothing_and_happens_once(gitea: GiteaTarget) -> None:
    sha = await gitea.commit("agent/x", "x.txt", "x\n")
    number = await gitea.pull("agent/x")
    assert (await gitea.call("GET", f"/pulls/{number}/merge")).status_code == 404
    assert (await gitea.call("POST", f"/pulls/{number}/merge", Do="nonsense")).status_code == 422
    await gitea.judged(number)
    moved = await gitea.merge(number, head_commit_id=NO_COMMIT)
    assert (moved.status_code, moved.json()["message"]) == (409, "head out of date")
    merged = await gitea.merge(number, head_commit_id=sha)
    assert (merged.status_code, merged.content) == (200, b"")
    assert (await gitea.call("GET", f"/pulls/{number}/merge")).status_code == 204
    shown = (await gitea.call("GET", f"/pulls/{number}")).json()
    assert (shown["merged"], shown["state"], shown["head"]["sha"]) == (True, "closed", sha)
    assert shown["merge_commit_sha"] == (await gitea.call("GET", "/branches/main")).json()["commit"]["id"]
    again = await gitea.call("POST", f"/pulls/{number}/merge", Do="merge", head_commit_id=sha)
    assert (again.status_code, again.json()["message"]) == (405, "" if gitea.is_forgejo else "The PR is already merged")
    assert (await gitea.call("PATCH", f"/pulls/{number}", state="open")).status_code == 412


async def test_a_deleted_branch_leaves_its_name_in_the_label(gitea: GiteaTarget) -> None:
    await gitea.commit("agent/x", "x.txt", "x\n")
    number = await gitea.pull("agent/x")
    assert (await gitea.merge(number, delete_branch_after_merge=True)).status_code == 200
    assert (await gitea.call("GET", "/branches/agent/x")).status_code == 404
    head = (await gitea.call("GET", f"/pulls/{number}")).json()["head"]
    assert (head["label"], head["ref"]) == ("agent/x", f"refs/pull/{number}/head")


async def test_a_conflict_is_told_like_a_check_under_way_and_by_an_update_outright(gitea: GiteaTarget) -> None:
    await gitea.commit("main", "a.txt", "base\n")
    await gitea.commit("agent/x", "a.txt", "mine\n")
    await gitea.commit("main", "a.txt", "theirs\n")
    number = await gitea.pull("agent/x")
    assert (await gitea.call("POST", f"/pulls/{number}/update?style=rebase")).status_code == 409
    refused = await gitea.merge(number)
    assert (refused.status_code, refused.json()["message"]) == (405, "Please try again later")
    assert not (await gitea.call("GET", f"/pulls/{number}")).json()["mergeable"]


@pytest.mark.parametrize("style", ["merge", "rebase"])
async def test_an_update_brings_the_base_in_and_fails_when_there_is_nothing_new(gitea: GiteaTarget, style: str) -> None:
    sha = await gitea.commit("agent/x", "x.txt", "x\n")
    number = await gitea.pull("agent/x")
    assert (await gitea.call("POST", f"/pulls/{number}/update?style={style}")).status_code == 500
    before = await beside_main(gitea, sha)
    tip = await gitea.commit("main", "y.txt", "y\n")
    updated = await gitea.call("POST", f"/pulls/{number}/update?style={style}")
    assert (updated.status_code, updated.content) == (200, b"")
    head = (await gitea.call("GET", "/branches/agent/x")).json()["commit"]["id"]
    assert head != sha
    assert (await gitea.call("GET", f"/compare/{head}...{tip}")).json()["total_commits"] == 0
    assert await beside_main(gitea, head) == before, "whose work it is, of when, and what it says stays"


async def beside_main(gitea: GiteaTarget, sha: str) -> list[tuple[str, str, str, str]]:
    """What a commit has beside main, merges left out: author, the author's time, message."""
    commits = (await gitea.call("GET", f"/compare/main...{sha}")).json()["commits"]
    return [
        (*(one["commit"]["author"][name] for name in ("name", "email", "date")), one["commit"]["message"].strip())
        for one in commits
        if len(one["parents"]) < 2
    ]


async def test_a_draft_is_not_merged(gitea: GiteaTarget) -> None:
    await gitea.commit("agent/x", "x.txt", "x\n")
    number = await gitea.pull("agent/x", title="WIP: x")
    shown = (await gitea.call("GET", f"/pulls/{number}")).json()
    assert (shown["draft"], shown["mergeable"]) == (True, False)
    refused = await gitea.merge(number)
    assert (refused.status_code, "Work in progress" in refused.json()["message"]) == (405, True)


async def test_a_protected_branch_names_what_it_waits_for(gitea: GiteaTarget) -> None:
    sha = await gitea.commit("agent/x", "x.txt", "x\n")
    number = await gitea.pull("agent/x")
    rule = {"rule_name": "main", "enable_push": True, "enable_status_check": True, "status_check_contexts": ["ci/*"]}
    assert (await gitea.call("POST", "/branch_protections", **rule)).status_code == 201
    refused = await gitea.merge(number)
    assert refused.status_code == 405
    assert "Not all required status checks successful" in refused.json()["message"]
    await gitea.call("POST", f"/statuses/{sha}", state="success", context="ci/test")
    assert (await gitea.merge(number)).status_code == 200


async def test_reviews_name_their_commit_and_go_stale(gitea: GiteaTarget) -> None:
    other, sha = gitea.other(), await gitea.commit("agent/x", "x.txt", "x\n")
    path = f"/pulls/{await gitea.pull('agent/x')}/reviews"
    given = await gitea.call("POST", path, by=other, event="APPROVED", body="fine", commit_id=sha)
    assert (given.status_code, given.json()["state"], given.json()["commit_id"]) == (200, "APPROVED", sha)
    assert (await gitea.call("POST", path, by=other, event="REQUEST_CHANGES", body="no")).status_code == 200
    listed = (await gitea.call("GET", path)).json()
    assert [(row["state"], row["stale"], row["dismissed"]) for row in listed] == [
        ("APPROVED", False, False),
        ("REQUEST_CHANGES", False, False),
    ]
    await gitea.commit("agent/x", "x.txt", "later\n")
    assert {row["stale"] for row in (await gitea.call("GET", path)).json()} == {True}


async def test_githubs_word_makes_a_silent_draft(gitea: GiteaTarget) -> None:
    other = gitea.other()
    await gitea.commit("agent/x", "x.txt", "x\n")
    path = f"/pulls/{await gitea.pull('agent/x')}/reviews"
    given = await gitea.call("POST", path, by=other, event="APPROVE", body="fine")
    assert (given.status_code, given.json()["state"]) == (200, "PENDING")


async def test_reviews_that_are_refused(gitea: GiteaTarget) -> None:
    await gitea.commit("agent/x", "x.txt", "x\n")
    path = f"/pulls/{await gitea.pull('agent/x')}/reviews"
    own = await gitea.call("POST", path, event="APPROVED", body="fine")
    assert (own.status_code, "your own pull" in own.json()["message"]) == (422, True)
    assert (await gitea.call("POST", path, by=gitea.other(), event="REQUEST_CHANGES")).status_code == 422


async def test_a_style_that_is_switched_off_is_refused_by_name(gitea: GiteaTarget) -> None:
    await gitea.commit("agent/x", "x.txt", "x\n")
    number = await gitea.pull("agent/x")
    assert (await gitea.call("PATCH", "", has_pull_requests=True, allow_squash_merge=False)).status_code == 200
    refused = await gitea.merge(number, Do="squash")
    assert refused.status_code == 405
    assert "allowed merge style" in refused.json()["message"]
    assert (await gitea.merge(number)).status_code == 200
