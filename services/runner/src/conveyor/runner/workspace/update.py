"""Brings the target branch into a task's branch before a run; a conflict leaves the branch as it was and is told."""

from msgspec.structs import replace

from conveyor.contracts.commands import Update
from conveyor.runner.workspace.git import Git, GitError
from conveyor.runner.workspace.leftovers import clear_leftovers
from conveyor.runner.workspace.places import Workspace


async def bring_in(git: Git, workspace: Workspace, target: str) -> Workspace:
    """Return the workspace on top of the target's commit, or merged with it, or with the files in conflict.

    The worktree is clean and on its branch.
    """
    if not target or await _holds(git, workspace, target):
        return workspace
    tree = (workspace.git_dir, workspace.path)
    work: tuple[str, ...] = ("rebase", "--quiet", target)
    if workspace.request.update is Update.MERGE:
        work = ("merge", "--quiet", "--no-edit", "-m", _message(workspace), target)
    try:
        await git.work(*tree, *work)
    except GitError:
        return await _step_back(git, workspace)
    return replace(workspace, base=await git.work(*tree, "rev-parse", "HEAD"))


async def _holds(git: Git, workspace: Workspace, target: str) -> bool:
    try:
        await git.run(workspace.mirror, "merge-base", "--is-ancestor", target, workspace.base)
    except GitError:
        return False
    return True


async def _step_back(git: Git, workspace: Workspace) -> Workspace:
    tree = (workspace.git_dir, workspace.path)
    names = await git.work(*tree, "diff", "--name-only", "--diff-filter=U", "-z")
    clear_leftovers(workspace)
    reference = f"refs/heads/{workspace.request.branch}"
    await git.work(*tree, "update-ref", "--no-deref", reference, workspace.base)
    await git.work(*tree, "symbolic-ref", "HEAD", reference)
    await git.work(*tree, "reset", "--quiet", "--hard", workspace.base)
    return replace(workspace, conflicts=tuple(sorted(name for name in names.split("\0") if name)) or ("?",))


def _message(workspace: Workspace) -> str:
    return f"Merge {workspace.request.target_branch} into {workspace.request.branch}"
