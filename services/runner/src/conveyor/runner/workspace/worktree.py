"""One task's worktree: registered in the mirror, reset to the start of a run, rebuilt when it cannot be."""

import asyncio
import os
import shutil
import tempfile
from pathlib import Path

from msgspec.structs import replace

from conveyor.contracts.commands import Update
from conveyor.contracts.errors import PermanentError
from conveyor.runner.workspace.git import Git, GitError
from conveyor.runner.workspace.leftovers import clear_leftovers
from conveyor.runner.workspace.mirror import Mirror
from conveyor.runner.workspace.nested import unnest
from conveyor.runner.workspace.places import Request, Workspace, worktree_path
from conveyor.runner.workspace.update import bring_in

RUNNER_FOLDER = ".conveyor"


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
        await _reset(git, workspace)
    except (GitError, OSError):
        await _rebuild(git, workspace)
        workspace = replace(workspace, is_new=True)
    if request.update is not Update.NONE and expected:
        workspace = await bring_in(git, workspace, await mirror.commit_of(request.target_branch))
    _make_runner_folder(path / RUNNER_FOLDER)
    return workspace


async def remove(git: Git, mirror_path: Path, path: Path) -> Path:
    """Take a worktree and the mirror's record of it away, whatever state they are in; return what is left to delete.

    Only a rename: deleting tens of thousands of files takes seconds, in which nobody should have to wait for a lock.
    """
    aside = put_aside(path)
    await asyncio.to_thread(_remove_tree, mirror_path / "worktrees" / path.name)
    await git.run(mirror_path, "worktree", "prune")
    return aside


def put_aside(path: Path) -> Path:
    """Move a worktree into the trash, under a name of its own; no matter if there is none."""
    trash = trash_of(path.parent.parent)
    trash.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=trash)) / "gone"
    if path.is_symlink() or path.exists():
        path.rename(aside)
    return aside.parent


def trash_of(root: Path) -> Path:
    """Return where worktrees lie that are being deleted."""
    return root / "trash"


def delete(path: Path) -> None:
    """Delete what was put aside, also where an agent took our rights away."""
    _remove_tree(path)


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


async def _rebuild(git: Git, workspace: Workspace) -> None:
    await asyncio.to_thread(delete, await remove(git, workspace.mirror, workspace.path))
    workspace.path.parent.mkdir(parents=True, exist_ok=True)
    branch = workspace.request.branch
    await git.run(
        workspace.mirror, "worktree", "add", "--quiet", "--force", "--no-track", "-B", branch, str(workspace.path),
        workspace.base,
    )  # fmt: skip
    if not workspace.git_dir.is_dir():
        raise PermanentError(f"git registered {workspace.path} under another name than {workspace.git_dir.name}")


def _relink(workspace: Workspace) -> None:
    link = workspace.path / ".git"
    if link.is_symlink() or link.is_file():
        link.unlink()
    elif link.exists():
        _remove_tree(link)
    link.write_text(f"gitdir: {workspace.git_dir}\n")


def _make_runner_folder(folder: Path) -> None:
    """Make the folder for prompts and results a real one, whatever the repository put in its place."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    folder.mkdir(exist_ok=True)


def _remove_tree(path: Path) -> None:
    """Remove a folder also where an agent took our rights away; a link is removed, never followed."""
    if path.is_symlink() or path.is_file():
        path.unlink()
        return
    for folder, _, _ in os.walk(path):
        Path(folder).chmod(0o700)
    if path.exists():
        shutil.rmtree(path)
