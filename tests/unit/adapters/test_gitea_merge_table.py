"""The table of Gitea's answers to a merge, row by row as measured and read (Gitea 1.26)."""

import pytest

from conveyor.adapters.gitea import MergeAttempt, meaning
from conveyor.contracts.observed import MergeAnswer, PullRequest

OPEN = PullRequest(number=7, is_open=True, merged=False, head_branch="feature/A-1-x", head_sha="a" * 40)
MERGED = PullRequest(number=7, is_open=False, merged=True, head_branch="b", head_sha="a" * 40, merge_sha="m" * 40)
CLOSED = PullRequest(number=7, is_open=False, merged=False, head_branch="b", head_sha="a" * 40)


@pytest.mark.parametrize("status", [0, 200, 201, 404, 405, 409, 422, 500, 502])
def test_a_merged_pull_request_is_merged_whatever_was_answered(status: int) -> None:
    result = meaning(MergeAttempt(status=status, words="anything", pull_request=MERGED))
    assert (result.answer, result.merge_sha) == (MergeAnswer.MERGED, "m" * 40)


@pytest.mark.parametrize("seen", [CLOSED, None])
@pytest.mark.parametrize("status", [0, 200, 404, 405, 409, 500])
def test_a_closed_or_missing_pull_request_is_gone(status: int, seen: PullRequest | None) -> None:
    assert meaning(MergeAttempt(status=status, pull_request=seen)).answer is MergeAnswer.GONE


PUSH = "PushRejected with remote message: "


@pytest.mark.parametrize(
    ("status", "words", "answer"),
    [
        (0, "merging pull request 7: no answer from git", MergeAnswer.RETRY),
        (0, "merging pull request 7 of acme/conflict-tool: no answer from git", MergeAnswer.RETRY),
        (504, "<html>a conflict of dependencies</html>", MergeAnswer.RETRY),
        (200, "", MergeAnswer.RETRY),
        (201, "", MergeAnswer.RETRY),
        (405, "Please try again later", MergeAnswer.RETRY),
        (405, "Not all required status checks successful", MergeAnswer.CHECKS),
        (405, "not allowed to merge [reason: Not all required status checks successful]", MergeAnswer.CHECKS),
        (405, "Does not have enough approvals", MergeAnswer.BLOCKED),
        (405, "There are requested changes", MergeAnswer.BLOCKED),
        (405, "There are official review requests", MergeAnswer.BLOCKED),
        (405, "The head branch is behind the base branch", MergeAnswer.RETRY),
        (405, "Changed protected files", MergeAnswer.BLOCKED),
        (405, "User not allowed to merge PR", MergeAnswer.BLOCKED),
        (405, "Work in progress PRs cannot be merged", MergeAnswer.BLOCKED),
        (405, "squash is not allowed an allowed merge style for this repository", MergeAnswer.BLOCKED),
        (405, "", MergeAnswer.BLOCKED),
        (409, "head out of date", MergeAnswer.HEAD_MOVED),
        (409, "merge push out of date", MergeAnswer.RETRY),
        (409, PUSH + "failed to push some refs: cannot lock ref 'refs/heads/main'", MergeAnswer.RETRY),
        (409, PUSH + "Gitea: Not allowed to push to protected branch main", MergeAnswer.BLOCKED),
        (409, PUSH + "error: failed to update ref", MergeAnswer.RETRY),
        (409, PUSH + "commit messages need a ticket", MergeAnswer.BLOCKED),
        (409, "already scheduled", MergeAnswer.RETRY),
        (405, "The base branch requires signed commits", MergeAnswer.BLOCKED),
        (404, "The target couldn't be found.", MergeAnswer.RETRY),
        (422, "[Do]: In", MergeAnswer.BLOCKED),
        (423, "archived", MergeAnswer.BLOCKED),
        (403, "token does not have at least one of required scope(s)", MergeAnswer.BLOCKED),
        (500, "CONFLICT (content): Merge conflict in a.txt", MergeAnswer.CONFLICT),
        (500, "fatal: Not possible to fast-forward, aborting.", MergeAnswer.CONFLICT),
        (500, "", MergeAnswer.RETRY),
        (502, "bad gateway", MergeAnswer.RETRY),
    ],
)
def test_an_open_pull_request_is_judged_by_the_answer(status: int, words: str, answer: MergeAnswer) -> None:
    result = meaning(MergeAttempt(status=status, words=words, pull_request=OPEN))
    assert result.answer is answer
    assert result.reason


def test_gits_output_in_place_of_a_message_is_a_conflict() -> None:
    attempt = MergeAttempt(status=409, is_conflict_report=True, pull_request=OPEN)
    assert meaning(attempt).answer is MergeAnswer.CONFLICT
