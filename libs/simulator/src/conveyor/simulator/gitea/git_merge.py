"""Merges, rebases and squashes in a throw-away work tree, as Gitea does; refs are moved by the caller."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from weakref import WeakKeyDictionary

from conveyor.simulator.gitea.git import GitError, GitRepository, Signature, identity_environment, run_git

_DOORS: WeakKeyDictionary[GitRepository, asyncio.Lock] = WeakKeyDictionary()
"""git reads every work tree of a repository when one comes or goes, and fails on one that another is just making."""


class MergeConflictError(Exception):
    """The two sides do not go together; the text is what git said."""


@contextlib.asynccontextmanager
async def work_tree(repository: GitRepository, sha: str) -> AsyncIterator[Path]:
    """Check a commit out, detached, into a folder that is gone afterwards."""
    folder = tempfile.mkdtemp(prefix="conveyor-merge-")
    tree = Path(folder) / "tree"
    door = _DOORS.setdefault(repository, asyncio.Lock())
    async with door:
        await repository.git("worktree", "add", "--detach", "--quiet", str(tree), sha)
    try:
        yield tree
    finally:
        # Only this one: pruning could take a neighbour's that is just being made.
        async with door:
            await repository.git("worktree", "remove", "--force", str(tree))
        shutil.rmtree(folder, ignore_errors=True)


async def merge_commit(repository: GitRepository, onto: str, other: str, message: str, who: Signature) -> str:
    """Merge `other` into `onto` with a merge commit; return its sha. Raises MergeConflictError."""
    async with work_tree(repository, onto) as tree:
        return await _try(tree, who, ("merge", "--no-ff", "--no-verify", "--quiet", "-m", message, other))


async def squash(repository: GitRepository, onto: str, other: str, message: str, who: Signature) -> str:
    """Put all that `other` brings onto `onto` as one commit; return its sha. Raises MergeConflictError."""
    async with work_tree(repository, onto) as tree:
        await _try(tree, who, ("merge", "--squash", "--quiet", other))
        return await _try(tree, who, ("commit", "--allow-empty", "--no-verify", "--quiet", "-m", message))


async def rebase(repository: GitRepository, onto: str, other: str, who: Signature) -> str:
    """Replay the commits of `other` on top of `onto`; return the new tip. Raises MergeConflictError."""
    async with work_tree(repository, other) as tree:
        return await _try(tree, who, ("rebase", "--quiet", onto))


async def _try(tree: Path, who: Signature, command: tuple[str, ...]) -> str:
    try:
        # A rebase keeps each commit's own author: only the committer may come from the environment there.
        extra = {k: v for k, v in identity_environment(who).items() if command[0] != "rebase" or "COMMITTER" in k}
        await run_git(tree, *command, extra=extra)
    except GitError as failure:
        raise MergeConflictError(str(failure)) from failure
    return (await run_git(tree, "rev-parse", "HEAD")).strip()
