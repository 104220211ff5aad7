"""Branches of a repository: read, made once, deleted, found by their commit, compared."""

from conveyor.adapters.gitea.http import Call, RefusedError, Topic, part
from conveyor.adapters.gitea.shapes import BranchRow, CommitTextRow, CompareRow
from conveyor.contracts.errors import PermanentError

_MERGES = 2
"""A commit with this many parents is a merge."""


class Branches(Topic):
    """The topic of branches. `repo` is `owner/name`."""

    async def branch_sha(self, repo: str, branch: str) -> str | None:
        """Return the commit a branch stands at, or None when there is no such branch."""
        call = Call(path=f"repos/{repo}/branches/{part(branch)}", doing=f"reading branch {branch} of {repo}")
        row = await self._http.find(call, BranchRow)
        return row.commit.id if row else None

    async def ensure_branch(self, repo: str, branch: str, base: str) -> str:
        """Return the branch's commit, made from `base` when it is not there yet.

        PermanentError when there is no base or a name stands in the way (`a` and `a/b` cannot both be branches).
        """
        if sha := await self.branch_sha(repo, branch):
            return sha
        if await self.branch_sha(repo, base) is None:  # an unknown origin is answered 500, which says nothing
            raise PermanentError(f"making branch {branch} of {repo}: there is no branch {base} to start from")
        call = Call(
            method="POST",
            path=f"repos/{repo}/branches",
            body={"new_branch_name": branch, "old_ref_name": base},
            doing=f"making branch {branch} of {repo}",
        )
        try:
            return (await self._http.ask(call, BranchRow)).commit.id
        except RefusedError as error:
            if error.status == 409 and (sha := await self.branch_sha(repo, branch)):
                return sha
            raise

    async def delete_branch(self, repo: str, branch: str) -> None:
        """Delete a branch; fine when it is gone already. RefusedError for the default or a protected one."""
        path = f"repos/{repo}/branches/{part(branch)}"
        try:
            await self._http.succeed(Call(method="DELETE", path=path, doing=f"deleting branch {branch} of {repo}"))
        except RefusedError as error:
            if error.status != 404:
                raise

    async def branches(self, repo: str) -> tuple[str, ...]:
        """Return the names of all branches."""
        return tuple(row.name for row in await self._branch_rows(repo))

    async def branches_at(self, repo: str, sha: str) -> tuple[str, ...]:
        """Return the branches that stand at a commit now; a commit status names no branch (GW-8)."""
        return tuple(row.name for row in await self._branch_rows(repo) if row.commit.id == sha)

    async def _branch_rows(self, repo: str) -> list[BranchRow]:
        call = Call(path=f"repos/{repo}/branches", doing=f"listing the branches of {repo}")
        return await self._http.rows(call, list[BranchRow])

    async def compare_changed(self, repo: str, base: str, head: str) -> bool:
        """Whether `head` has commits that `base` has not; both are branches or commits."""
        doing = f"comparing {head} with {base} of {repo}"
        call = Call(path=f"repos/{repo}/compare/{part(base)}...{part(head)}", doing=doing)
        return (await self._http.ask(call, CompareRow)).total_commits > 0

    async def commits_beyond(self, repo: str, base: str, head: str) -> tuple[str, ...] | None:
        """Name each commit that `head` has and `base` has not by its author, the author's time and its message.

        Sorted, merges left out: a rebase, and a merge of `base`, leave all of it as it is. None when there is no such
        branch or commit.
        """
        doing = f"listing what {head} has beside {base} of {repo}"
        row = await self._http.find(
            Call(path=f"repos/{repo}/compare/{part(base)}...{part(head)}", doing=doing), CompareRow
        )
        if row is None:
            return None
        return tuple(sorted(_name(one.commit) for one in row.commits or () if len(one.parents or ()) < _MERGES))


def _name(commit: CommitTextRow) -> str:
    author = commit.author
    return f"{author.name} <{author.email}> {author.date}\n{commit.message.strip()}"
