"""Merging a pull request at a known head: one call, and a pure table of what each of Gitea's answers means."""

from msgspec import Struct

from conveyor.adapters.gitea.http import Answer, Call, Topic, refusal, words_of
from conveyor.adapters.gitea.pulls import observed
from conveyor.adapters.gitea.shapes import PullRow
from conveyor.contracts.errors import TransientError
from conveyor.contracts.observed import MergeAnswer, MergeResult, PullRequest

_PHRASES = (
    (
        MergeAnswer.RETRY,
        (
            "try again later",
            "cannot lock ref",
            "failed to update ref",
            "push out of date",
            "behind the base branch",
            "already scheduled",
        ),
    ),
    (MergeAnswer.CHECKS, ("not all required status checks",)),
    (
        MergeAnswer.BLOCKED,
        (
            "enough approvals",
            "requested changes",
            "official review requests",
            "changed protected files",
            "not allowed to merge",
            "user not allowed",
            "work in progress",
            "allowed merge style",
            "dependencies",
            "not allowed to push to protected branch",
        ),
    ),
    (MergeAnswer.CONFLICT, ("conflict", "not possible to fast-forward")),
    (MergeAnswer.BLOCKED, ("pushrejected",)),
)
"""Read in this order. What is rejected in a push and by none of the words above was so by a hook of the repository."""


class MergeAttempt(Struct, frozen=True, kw_only=True):
    """What is known after a merge call: the answer (status 0 when none came), and the pull request read after it."""

    status: int
    words: str = ""
    is_conflict_report: bool = False
    """A 409 with git's output in place of a message."""
    pull_request: PullRequest | None = None


def meaning(attempt: MergeAttempt) -> MergeResult:
    """Return what an answer to a merge means (docs/protocols.md). The pull request's own state outweighs any answer."""
    seen = attempt.pull_request
    if seen and seen.merged:
        return MergeResult(answer=MergeAnswer.MERGED, merge_sha=seen.merge_sha, reason=attempt.words)
    if seen is None or not seen.is_open:
        return MergeResult(answer=MergeAnswer.GONE, reason=attempt.words or "the pull request is closed")
    reason = attempt.words or f"answered {attempt.status}"
    return MergeResult(answer=_open_meaning(attempt), reason=reason)


def _open_meaning(attempt: MergeAttempt) -> MergeAnswer:
    """Read the answer for a pull request that is still open; what is not in the table is worth another try."""
    words = attempt.words.lower()
    if attempt.is_conflict_report:
        return MergeAnswer.CONFLICT
    if attempt.status == 0 or attempt.status > 500:  # words of ours or a proxy's, which may hold any phrase
        return MergeAnswer.RETRY
    if attempt.status == 409 and "head out of date" in words:
        return MergeAnswer.HEAD_MOVED
    for answer, phrases in _PHRASES:
        if any(phrase in words for phrase in phrases):
            return answer
    return MergeAnswer.BLOCKED if attempt.status in (403, 405, 422, 423) else MergeAnswer.RETRY


class Merging(Topic):
    """The topic of merging. `repo` is `owner/name`."""

    async def merge(self, repo: str, number: int, head: str, style: str = "merge") -> MergeResult:
        """Merge if the pull request still stands at the commit `head`, and say what came of it; safe to repeat.

        `style`: merge, rebase, rebase-merge, squash or fast-forward-only. RETRY also means that Gitea has not made up
        its mind or cannot: give it a deadline. Raises RefusedError when the token is not accepted, TransientError when
        the forge cannot be reached afterwards.
        """
        doing = f"merging pull request {number} of {repo}"
        call = Call(
            method="POST",
            path=f"repos/{repo}/pulls/{number}/merge",
            body={"Do": style, "head_commit_id": head},
            doing=doing,
        )
        try:
            answer = await self._http.exchange(call)
        except TransientError as error:
            answer = Answer(status=0, body=str(error).encode())
        if answer.status == 401:
            raise refusal(answer.status, words_of(answer.body), doing)
        row = await self._http.find(Call(path=f"repos/{repo}/pulls/{number}", doing=doing), PullRow)
        return meaning(
            MergeAttempt(
                status=answer.status,
                words=words_of(answer.body),
                is_conflict_report=answer.status == 409 and b'"StdErr"' in answer.body,
                pull_request=observed(row) if row else None,
            )
        )
