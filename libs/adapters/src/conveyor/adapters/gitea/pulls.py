"""Pull requests of a repository: read, found by their branch, opened once, brought up to date."""

import re

from conveyor.adapters.gitea.http import Call, RefusedError, Topic, part
from conveyor.adapters.gitea.shapes import CompareRow, PullRow
from conveyor.contracts.errors import TransientError
from conveyor.contracts.observed import PullRequest

_EXISTING = re.compile(r"issue_id: (\d+)")
_PULL_REF = "refs/pull/"


class Pulls(Topic):
    """The topic of pull requests. `repo` is `owner/name`."""

    async def pull_request(self, repo: str, number: int) -> PullRequest | None:
        """Return a pull request as it is now, or None. Looking makes Gitea check whether it can be merged."""
        row = await self._pull(repo, number)
        return observed(row) if row else None

    async def find_pull_request(self, repo: str, branch: str, base: str) -> PullRequest | None:
        """Return the open pull request from a branch of the repository itself into `base`, or None."""
        if "/" not in base:
            doing = f"looking for the pull request of {branch} of {repo}"
            call = Call(path=f"repos/{repo}/pulls/{part(base)}/{part(branch)}", doing=doing)
            row = await self._http.find(call, PullRow)
            if row is None or row.state == "open":
                return observed(row) if row else None
        # Gitea shows any one of a branch's pull requests, perhaps an old and merged one; and it has no filter by head.
        call = Call(path=f"repos/{repo}/pulls", params={"state": "open"}, doing=f"listing open pull requests of {repo}")
        for row in await self._http.rows(call, list[PullRow]):
            same_repo = row.head.repo_id == row.base.repo_id
            if same_repo and head_branch(row) == branch and row.base.ref == base and row.state == "open":
                return observed(row)
        return None

    async def ensure_pull_request(self, repo: str, branch: str, base: str, title: str, body: str) -> PullRequest:
        """Return the open pull request from a branch into `base`, opened when there is none.

        Title and body of one that is there stay as they are. Gitea opens one even for a branch without any change,
        which then can never be merged: look with `compare_changed` first. RefusedError when it cannot be opened.
        """
        if found := await self.find_pull_request(repo, branch, base):
            return found
        call = Call(
            method="POST",
            path=f"repos/{repo}/pulls",
            body={"head": branch, "base": base, "title": title, "body": body},
            doing=f"opening the pull request of {branch} of {repo}",
        )
        try:
            return observed(await self._http.ask(call, PullRow))
        except RefusedError as error:
            known = _EXISTING.search(error.words) if error.status == 409 else None
            row = await self._pull(repo, int(known.group(1))) if known else None
            if row is None:
                raise
            return observed(row)

    async def update_branch(self, repo: str, number: int, style: str = "rebase") -> bool:
        """Bring the base into the pull request's branch; `style` is merge or rebase.

        True when the branch now holds the base (also when it did before), False when the two conflict. Gitea guards
        no head here: read the pull request again before trusting its commit.
        """
        doing = f"updating pull request {number} of {repo}"
        look = Call(path=f"repos/{repo}/pulls/{number}", doing=doing)
        if await self._holds_base(
            repo, await self._http.ask(look, PullRow)
        ):  # updating a branch that is up to date is answered 500
            return True
        call = Call(method="POST", path=f"repos/{repo}/pulls/{number}/update", params={"style": style}, doing=doing)
        try:
            await self._http.succeed(call)
        except RefusedError as error:
            if error.status == 409:
                return False
            raise
        except TransientError:
            # The branch may have moved although the answer was lost.
            if await self._holds_base(repo, await self._http.ask(look, PullRow)):
                return True
            raise
        return True

    async def _holds_base(self, repo: str, row: PullRow) -> bool:
        path = f"repos/{repo}/compare/{row.head.sha}...{part(row.base.ref)}"
        call = Call(path=path, doing=f"comparing pull request {row.number} of {repo} with its base")
        return (await self._http.ask(call, CompareRow)).total_commits == 0

    async def _pull(self, repo: str, number: int) -> PullRow | None:
        call = Call(path=f"repos/{repo}/pulls/{number}", doing=f"reading pull request {number} of {repo}")
        return await self._http.find(call, PullRow)


def head_branch(row: PullRow) -> str:
    """Return the branch a pull request comes from; its label keeps the name after the branch is gone."""
    return row.head.label if row.head.ref.startswith(_PULL_REF) else row.head.ref


def observed(row: PullRow) -> PullRequest:
    """Return Gitea's row in our words. A merge commit counts only once merged."""
    return PullRequest(
        number=row.number,
        is_open=row.state == "open",
        merged=row.merged,
        head_branch=head_branch(row),
        head_sha=row.head.sha,
        merge_sha=(row.merge_commit_sha or "") if row.merged else "",
        mergeable=row.mergeable,
        closed_at=row.closed_at,
    )
