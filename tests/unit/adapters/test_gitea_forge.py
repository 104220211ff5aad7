from typing import Any

import pytest

from conveyor.adapters.gitea import GiteaForge, RefusedError
from conveyor.adapters.gitea.http import words_of
from conveyor.contracts.errors import PermanentError, TransientError
from conveyor.contracts.observed import CiState, MergeAnswer

Bench = Any
"""A ForgeBench; see conftest."""
BRANCH = "feature/SHOP-1-door"


async def test_it_knows_whose_token_it_uses_and_what_it_talks_to(forge_bench: Bench) -> None:
    assert await forge_bench.forge.me() == "orch"
    assert await forge_bench.forge.version()


async def test_a_branch_is_made_once_and_deleted_once(forge_bench: Bench) -> None:
    forge, repo = forge_bench.forge, forge_bench.repo
    base = await forge.branch_sha(repo, "main")
    assert await forge.branch_sha(repo, BRANCH) is None
    for _ in range(2):
        assert await forge.ensure_branch(repo, BRANCH, "main") == base
    moved = await forge_bench.branch(BRANCH)
    assert await forge.ensure_branch(repo, BRANCH, "main") == moved
    for _ in range(2):
        await forge.delete_branch(repo, BRANCH)
    assert await forge.branch_sha(repo, BRANCH) is None


async def test_a_branch_that_cannot_be_made_or_deleted_says_why(forge_bench: Bench) -> None:
    forge, repo = forge_bench.forge, forge_bench.repo
    with pytest.raises(PermanentError, match="no branch nowhere"):
        await forge.ensure_branch(repo, BRANCH, "nowhere")
    await forge.ensure_branch(repo, "feature", "main")
    with pytest.raises(RefusedError, match="409"):
        await forge.ensure_branch(repo, BRANCH, "main")
    with pytest.raises(RefusedError, match="403"):
        await forge.delete_branch(repo, "main")


async def test_branches_are_found_by_their_commit(forge_bench: Bench) -> None:
    sha = await forge_bench.branch(BRANCH)
    for number in range(60):
        await forge_bench.gitea.reset_branch(forge_bench.repo, f"at/{number}", sha)
    found = await forge_bench.forge.branches_at(forge_bench.repo, sha)
    assert sorted(found) == sorted([BRANCH, *(f"at/{number}" for number in range(60))])
    assert await forge_bench.forge.branches_at(forge_bench.repo, "0" * 40) == ()


async def test_changes_are_seen_from_the_base(forge_bench: Bench) -> None:
    await forge_bench.forge.ensure_branch(forge_bench.repo, BRANCH, "main")
    assert not await forge_bench.forge.compare_changed(forge_bench.repo, "main", BRANCH)
    await forge_bench.branch(BRANCH)
    assert await forge_bench.forge.compare_changed(forge_bench.repo, "main", BRANCH)


async def test_files_are_read_at_a_commit(forge_bench: Bench) -> None:
    forge, repo = forge_bench.forge, forge_bench.repo
    first = await forge_bench.branch(BRANCH, "é\n", "docs/tasks/SHOP-1/01-analysis.md")
    await forge_bench.branch(BRANCH, "later\n", "docs/tasks/SHOP-1/01-analysis.md")
    assert await forge.read_file(repo, "docs/tasks/SHOP-1/01-analysis.md", first) == "é\n"
    assert await forge.read_file(repo, "docs/tasks/SHOP-1/01-analysis.md", BRANCH) == "later\n"
    assert await forge.read_file(repo, "docs/none.md", BRANCH) is None
    assert await forge.read_file(repo, "docs", BRANCH) is None
    assert await forge.list_dir(repo, "docs/tasks/SHOP-1", BRANCH) == ("01-analysis.md",)
    assert await forge.list_dir(repo, "nowhere", BRANCH) == ()


async def test_ci_is_combined_over_all_pages_and_none_is_never_green(forge_bench: Bench) -> None:
    forge, repo = forge_bench.forge, forge_bench.repo
    sha = await forge_bench.branch(BRANCH)
    assert (await forge.ci_status(repo, sha)).state is CiState.NONE
    for number in range(120):
        await forge_bench.gitea.set_status(repo, sha, f"ci/{number}", "success")
    green = await forge.ci_status(repo, sha)
    assert (green.state, len(green.contexts)) == (CiState.GREEN, 120)
    await forge_bench.gitea.set_status(repo, sha, "ci/0", "failure")
    assert (await forge.ci_status(repo, sha)).state is CiState.RED
    assert (await forge.ci_status(repo, sha, ("ci/1",))).state is CiState.GREEN
    assert (await forge.ci_status(repo, "0" * 40)).state is CiState.NONE


async def test_a_pull_request_is_opened_once(forge_bench: Bench) -> None:
    forge, repo = forge_bench.forge, forge_bench.repo
    sha = await forge_bench.branch(BRANCH)
    assert await forge.find_pull_request(repo, BRANCH, "main") is None
    first = await forge.ensure_pull_request(repo, BRANCH, "main", "Door", "text")
    again = await forge.ensure_pull_request(repo, BRANCH, "main", "Another", "text")
    assert first.number == again.number
    assert (first.is_open, first.merged, first.head_branch, first.head_sha) == (True, False, BRANCH, sha)
    assert [pull.title for pull in forge_bench.gitea.pulls(repo)] == ["Door"]
    assert await forge.pull_request(repo, 99) is None


async def test_an_old_closed_pull_request_of_the_branch_does_not_hide_the_open_one(forge_bench: Bench) -> None:
    forge, repo = forge_bench.forge, forge_bench.repo
    await forge_bench.branch(BRANCH)
    old = await forge.ensure_pull_request(repo, BRANCH, "main", "Old", "")
    forge_bench.gitea.close_pull(repo, old.number)
    assert await forge.find_pull_request(repo, BRANCH, "main") is None
    new = await forge.ensure_pull_request(repo, BRANCH, "main", "New", "")
    assert new.number != old.number
    found = await forge.find_pull_request(repo, BRANCH, "main")
    assert found is not None
    assert found.number == new.number


async def test_reviews_are_read_with_what_they_reviewed(forge_bench: Bench) -> None:
    forge, repo, gitea = forge_bench.forge, forge_bench.repo, forge_bench.gitea
    sha = await forge_bench.branch(BRANCH)
    pull = await forge.ensure_pull_request(repo, BRANCH, "main", "Door", "")
    gitea.request_changes(repo, pull.number, "too wide", by="ada")
    gitea.comment_review(repo, pull.number, "hm", by="ada")
    gitea.approve_review(repo, pull.number, by="ada")
    reviews = await forge.reviews(repo, pull.number)
    assert [review.verdict for review in reviews] == ["rejected", "commented", "approved"]
    assert {(review.reviewer, review.commit_id) for review in reviews} == {("ada", sha)}
    assert reviews[0].text == "too wide"
    assert not any(review.stale for review in reviews)
    later = await forge_bench.branch(BRANCH, "newer\n")
    assert later != sha
    outdated = await forge.reviews(repo, pull.number)
    assert [(review.commit_id, review.stale) for review in outdated] == [(sha, True)] * 3, "the gate judges, not we"


async def test_a_merge_waits_for_giteas_check_and_is_safe_to_repeat(forge_bench: Bench) -> None:
    forge, repo = forge_bench.forge, forge_bench.repo
    sha = await forge_bench.branch(BRANCH)
    pull = await forge.ensure_pull_request(repo, BRANCH, "main", "Door", "")
    merged = await forge_bench.merged(lambda: forge.merge(repo, pull.number, sha))
    assert merged.answer is MergeAnswer.MERGED
    assert merged.merge_sha == forge_bench.gitea.branch_sha(repo, "main")
    again = await forge.merge(repo, pull.number, sha)
    assert (again.answer, again.merge_sha) == (MergeAnswer.MERGED, merged.merge_sha)


async def test_a_moved_head_is_not_merged(forge_bench: Bench) -> None:
    forge, repo = forge_bench.forge, forge_bench.repo
    tested = await forge_bench.branch(BRANCH)
    pull = await forge.ensure_pull_request(repo, BRANCH, "main", "Door", "")
    await forge_bench.branch(BRANCH, "later\n")
    result = await forge_bench.merged(lambda: forge.merge(repo, pull.number, tested))
    assert result.answer is MergeAnswer.HEAD_MOVED


async def test_a_merge_whose_answer_was_lost_counts_by_what_became_of_it(forge_bench: Bench) -> None:
    forge, repo, gitea = forge_bench.forge, forge_bench.repo, forge_bench.gitea
    sha = await forge_bench.branch(BRANCH)
    pull = await forge.ensure_pull_request(repo, BRANCH, "main", "Door", "")
    merge_sha = await gitea.merge_pull(repo, pull.number)
    gitea.rest_faults.order("POST", 502)
    result = await forge.merge(repo, pull.number, sha)
    assert (result.answer, result.merge_sha) == (MergeAnswer.MERGED, merge_sha)


async def test_a_closed_pull_request_is_gone(forge_bench: Bench) -> None:
    forge, repo = forge_bench.forge, forge_bench.repo
    sha = await forge_bench.branch(BRANCH)
    pull = await forge.ensure_pull_request(repo, BRANCH, "main", "Door", "")
    forge_bench.gitea.close_pull(repo, pull.number)
    assert (await forge.merge(repo, pull.number, sha)).answer is MergeAnswer.GONE
    assert (await forge.merge(repo, 99, sha)).answer is MergeAnswer.GONE


async def test_a_deleted_branch_keeps_its_name_in_the_pull_request(forge_bench: Bench) -> None:
    forge, repo = forge_bench.forge, forge_bench.repo
    sha = await forge_bench.branch(BRANCH)
    pull = await forge.ensure_pull_request(repo, BRANCH, "main", "Door", "")
    await forge_bench.merged(lambda: forge.merge(repo, pull.number, sha))
    await forge.delete_branch(repo, BRANCH)
    seen = await forge.pull_request(repo, pull.number)
    assert seen is not None
    assert (seen.head_branch, seen.merged) == (BRANCH, True)


@pytest.mark.parametrize("style", ["merge", "rebase"])
async def test_a_branch_is_brought_up_to_date_and_left_alone_when_it_is(forge_bench: Bench, style: str) -> None:
    forge, repo = forge_bench.forge, forge_bench.repo
    sha = await forge_bench.branch(BRANCH)
    pull = await forge.ensure_pull_request(repo, BRANCH, "main", "Door", "")
    assert await forge.update_branch(repo, pull.number, style)
    assert await forge.branch_sha(repo, BRANCH) == sha
    await forge_bench.gitea.push(repo, "main", {"other.txt": "x\n"})
    assert await forge.update_branch(repo, pull.number, style)
    assert await forge.branch_sha(repo, BRANCH) != sha
    assert not await forge.compare_changed(repo, BRANCH, "main")


async def test_a_conflict_is_told_by_update_and_by_merge(forge_bench: Bench) -> None:
    forge, repo = forge_bench.forge, forge_bench.repo
    sha = await forge_bench.branch(BRANCH, "mine\n", "README.md")
    pull = await forge.ensure_pull_request(repo, BRANCH, "main", "Door", "")
    await forge_bench.gitea.push(repo, "main", {"README.md": "theirs\n"})
    assert not await forge.update_branch(repo, pull.number)
    await forge_bench.gitea.settled()
    # Gitea gives the same 405 for a conflict as for "not checked yet": the caller's deadline tells them apart.
    assert (await forge.merge(repo, pull.number, sha)).answer is MergeAnswer.RETRY


async def test_a_webhook_is_registered_once_active_and_replaced_whole(forge_bench: Bench) -> None:
    forge, repo, url = forge_bench.forge, forge_bench.repo, "http://127.0.0.1:9/webhook/gitea"
    assert not await forge.hook_is_active(repo, url)
    assert [await forge.ensure_hook(repo, url, "one") for _ in range(2)] == [True, False]
    assert await forge.hook_is_active(repo, url)
    await forge.replace_hook(repo, url, "two")
    (hook,) = forge_bench.gitea.repo(repo).hooks.values()
    assert (hook.secret, hook.active, hook.content_type) == ("two", True, "json")
    assert {"push", "status"} <= set(hook.events)


async def test_every_webhook_is_shown_and_can_be_tried(forge_bench: Bench) -> None:
    forge, repo, url = forge_bench.forge, forge_bench.repo, "http://127.0.0.1:9/webhook/gitea"
    await forge.ensure_hook(repo, url, "one")
    (hook,) = await forge.hooks(repo)
    assert (hook.url, hook.is_active, hook.content_type) == (url, True, "json")
    assert "push" in hook.events
    await forge.try_hook(repo, hook.hook_id)
    await forge_bench.gitea.settled()
    (sent,) = forge_bench.gitea.courier.deliveries
    assert sent.status is None, "nobody listens there, and that is not told to who tries"


async def test_a_webhook_that_hears_too_little_is_replaced_and_doubles_go(forge_bench: Bench) -> None:
    forge, repo, url = forge_bench.forge, forge_bench.repo, "http://127.0.0.1:9/webhook/gitea"
    forge_bench.gitea.add_hook(repo, url, "old", ("push",))
    other = forge_bench.gitea.add_hook(repo, url + "/other", "other")
    assert await forge.ensure_hook(repo, url, "one")
    for _ in range(2):
        forge_bench.gitea.add_hook(repo, url, "double")
    assert not await forge.ensure_hook(repo, url, "one")
    hooks = [hook for hook in forge_bench.gitea.repo(repo).hooks.values() if hook.id != other.id]
    assert [(hook.url, hook.secret) for hook in hooks] == [(url, "one")]


async def test_an_archived_repository_is_left_alone_with_the_reason(forge_bench: Bench) -> None:
    forge, repo = forge_bench.forge, forge_bench.repo
    sha = await forge_bench.branch(BRANCH)
    pull = await forge.ensure_pull_request(repo, BRANCH, "main", "Door", "")
    forge_bench.gitea.repo(repo).archived = True
    with pytest.raises(RefusedError, match="archived"):
        await forge.delete_branch(repo, BRANCH)
    refused = await forge.merge(repo, pull.number, sha)
    assert (refused.answer, "archived" in refused.reason) == (MergeAnswer.BLOCKED, True)
    rights = await forge.rights(repo)
    assert rights is not None
    assert rights.is_archived


def test_two_objects_in_one_error_are_read_as_the_first() -> None:
    """Older versions of Gitea write both."""
    assert words_of(b'{"message":"first","url":""}{"message":"second"}') == "first"
    assert words_of(b"<html>busy</html>") == "<html>busy</html>"


async def test_what_the_token_may_do_is_told(forge_bench: Bench) -> None:
    forge, repo, gitea = forge_bench.forge, forge_bench.repo, forge_bench.gitea
    mine = await forge.rights(repo)
    assert mine is not None
    assert (mine.default_branch, mine.is_archived, mine.can_push, mine.is_admin) == ("main", False, True, True)
    assert await forge.rights("orch/nothing") is None
    hers = GiteaForge(gitea.url, gitea.create_token("ada"))
    seen = await hers.rights(repo)
    await hers.close()
    assert seen is not None
    assert (seen.can_read, seen.can_push, seen.is_admin) == (True, True, False)
    assert await forge.me() == "orch"


async def test_a_locked_database_is_a_passing_trouble_but_not_for_ever(forge_bench: Bench) -> None:
    forge, repo = forge_bench.forge, forge_bench.repo
    forge_bench.gitea.rest_faults.order("GET", 500, 8)
    for _ in range(7):
        with pytest.raises(TransientError):
            await forge.branch_sha(repo, "main")
    with pytest.raises(PermanentError, match="8 times"):
        await forge.branch_sha(repo, "main")
    assert await forge.branch_sha(repo, "main")


async def test_a_wrong_token_a_missing_right_and_a_hidden_repository_say_what_to_do(forge_bench: Bench) -> None:
    gitea, repo = forge_bench.gitea, forge_bench.repo
    gitea.create_user("guest")
    gitea.add_collaborator(repo, "guest", "read")
    stranger, guest = GiteaForge(gitea.url, "nonsense"), GiteaForge(gitea.url, gitea.create_token("guest"))
    with pytest.raises(RefusedError, match=r"401.*gitea\.token"):
        await stranger.me()
    with pytest.raises(RefusedError, match="403"):
        await guest.ensure_branch(repo, BRANCH, "main")
    with pytest.raises(RefusedError, match="404"):
        await guest.reviews("orch/none", 1)
    await stranger.close()
    await guest.close()


async def test_a_forge_that_is_away_is_a_passing_trouble(forge_bench: Bench) -> None:
    await forge_bench.gitea.stop()
    with pytest.raises(TransientError, match="no answer"):
        await forge_bench.forge.me()
    with pytest.raises(TransientError, match="no answer"):
        await forge_bench.forge.merge(forge_bench.repo, 1, "a" * 40)
    await forge_bench.gitea.start()
    assert await forge_bench.forge.me() == "orch"
