"""One task's worktree: registered in the mirror, reset to the start of a run, rebuilt when it cannot be."""

import asyncio
from pathlib import Path

from msgspec.structs import replace

from conveyor.contracts.commands import Update
from conveyor.contracts.errors import PermanentError
from conveyor.runner.workspace.git import Git, GitError
from conveyor.runner.workspace.leftovers import clear_leftovers, clear_locks
from conveyor.runner.workspace.mirror import Mirror
from conveyor.runner.workspace.nested import unnest
from conveyor.runner.workspace.places import Request, Workspace, worktree_path
from conveyor.runner.workspace.removal import delete, put_aside
from conveyor.runner.workspace.spare import WORTH_S
from conveyor.runner.workspace.update import bring_in

RUNNER_FOLDER = ".conveyor"
_UNFINISHED = "locked"
"""Git's own mark, which `worktree add --lock` leaves: it is there from the first moment on, also after a crash."""


async def prepare(git: Git, mirror: Mirror, root: Path, request: Request) -> Workspace:
    """Return the task's worktree, clean and at the branch's commit on the forge, or at the target's for a new branch.

    The mirror is locked and fetched. PermanentError when there is nothing to start from.
    """
    path = worktree_path(root, request.project, request.key)
    expected = await mirror.commit_of(request.branch)
    base = expected or await mirror.commit_of(request.target_branch)
    if not base:
        raise PermanentError(
            f"{request.repository} has neither {request.branch} nor the target branch {request.target_branch}"
        )
    git_dir = mirror.path / "worktrees" / path.name
    workspace = Workspace(request=request, path=path, git_dir=git_dir, mirror=mirror.path, base=base, expected=expected)
    try:
        _check_finished(workspace)
        await _reset(git, workspace)
    except (GitError, OSError):
        await _make(git, mirror, workspace)
        workspace = replace(workspace, is_new=True)
    if request.update is not Update.NONE and expected:
        workspace = await bring_in(git, workspace, await mirror.commit_of(request.target_branch))
    _make_runner_folder(path / RUNNER_FOLDER)
    return workspace


def finish(workspace: Workspace) -> None:
    """Note that a new worktree is whole, with all that its hook does to it; until then it is made anew each time."""
    (workspace.git_dir / _UNFINISHED).unlink(missing_ok=True)


async def remove(git: Git, mirror_path: Path, path: Path) -> Path:
    """Take a worktree and the mirror's record of it away, whatever state they are in; return what is left to delete."""
    aside = put_aside(path, path.parent.parent)
    await asyncio.to_thread(delete, mirror_path / "worktrees" / path.name)
    await git.run(mirror_path, "worktree", "prune")
    return aside


async def _reset(git: Git, workspace: Workspace) -> None:
    """Bring an existing worktree to its start; raises when it is no worktree of ours any more."""
    path, git_dir = workspace.path, workspace.git_dir
    if path.is_symlink() or not path.is_dir() or (git_dir / "gitdir").read_text().strip() != str(path / ".git"):
        raise OSError(f"{path} is no worktree of {workspace.mirror}")
    clear_leftovers(workspace)
    _relink(workspace)
    await asyncio.to_thread(unnest, path)
    reference = f"refs/heads/{workspace.request.branch}"
    await git.work(git_dir, path, "update-ref", "--no-deref", reference, workspace.base)
    await git.work(git_dir, path, "symbolic-ref", "HEAD", reference)
    await git.work(git_dir, path, "reset", "--quiet", "--hard", workspace.base)  # the one walk over a large tree
    await git.work(git_dir, path, "clean", "-ffdq")  # ignored files stay: they are the caches of builds
    await git.work(git_dir, path, "clean", "-ffdxq", "--", RUNNER_FOLDER)


def _check_finished(workspace: Workspace) -> None:
    if (workspace.git_dir / _UNFINISHED).exists():
        raise OSError(f"{workspace.path} was never finished")


async def _make(git: Git, mirror: Mirror, workspace: Workspace) -> None:
    """Make the worktree anew, of the mirror's spare one where there is one."""
    await _clear(git, workspace)
    try:
        if mirror.spare.take(workspace):
            mirror.spare.want(workspace.request.target_branch)
            await _reset(git, workspace)
            return
    except (GitError, OSError):
        await _clear(git, workspace)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await _check_out(git, workspace)
    if loop.time() - begun >= WORTH_S:
        mirror.spare.want(workspace.request.target_branch)


async def _clear(git: Git, workspace: Workspace) -> None:
    clear_locks(workspace)
    await asyncio.to_thread(delete, await remove(git, workspace.mirror, workspace.path))
    workspace.path.parent.mkdir(parents=True, exist_ok=True)


async def _check_out(git: Git, workspace: Workspace) -> None:
    branch = workspace.request.branch
    await git.run(
        workspace.mirror, "worktree", "add", "--quiet", "--force", "--lock", "--no-track", "-B", branch,
        str(workspace.path), workspace.base,
    )  # fmt: skip
    if not workspace.git_dir.is_dir():
        raise PermanentError(f"git registered {workspace.path} under another name than {workspace.git_dir.name}")


def _relink(workspace: Workspace) -> None:
    link = workspace.path / ".git"
    if link.is_symlink() or link.is_file():
        link.unlink()
    elif link.exists():
        delete(link)
    link.write_text(f"gitdir: {workspace.git_dir}\n")


def _make_runner_folder(folder: Path) -> None:
    """Make the folder for prompts and results a real one, whatever the repository put in its place."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    folder.mkdir(exist_ok=True)
