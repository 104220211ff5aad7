"""What agents read and run when they open a repository comes from the target branch, not from the task's (RU-12).

Otherwise one run could leave a hook that the next one executes. For the time of the run those files are the target
branch's; afterwards the task's own come back, but for what the run itself changed. The exchange is not committed.
"""

import shutil

from msgspec import Struct

from conveyor.runner.workspace import Git, Workspace


class Exchange(Struct, frozen=True, kw_only=True):
    """Which files are the target branch's for now; paths within the worktree."""

    swapped: tuple[str, ...] = ()
    """Those that differ between the task's branch and the target."""
    added: tuple[str, ...] = ()
    """Those of them that only the target has."""


async def take_from_target(git: Git, workspace: Workspace, names: tuple[str, ...]) -> Exchange:
    """Put the target branch's version of these names in place; GitError when git cannot."""
    shutil.rmtree(workspace.mirror / "hooks", ignore_errors=True)
    if not names:
        return Exchange()
    where, target = _anywhere(names), _target(workspace)
    if not workspace.is_new:  # in a new one is only what git put there, and a walk over a large tree is felt
        # Ignored files too: an earlier run may have left them.
        await git.work(workspace.git_dir, workspace.path, "clean", "-ffdxq", "--", *where)
    swapped = await _names(git, workspace, "diff", "--name-only", "--no-renames", workspace.base, target, "--", *where)
    if not swapped:
        return Exchange()
    await _restore(git, workspace, target, swapped)
    tracked = await _flag(git, workspace, "--skip-worktree", swapped)
    return Exchange(swapped=swapped, added=tuple(path for path in swapped if path not in tracked))


async def give_back(git: Git, workspace: Workspace, exchange: Exchange) -> None:
    """Put the task's own version back, except where the run changed what it was given; GitError when git cannot."""
    if not exchange.swapped:
        return
    await _flag(git, workspace, "--no-skip-worktree", exchange.swapped)
    given = await _versions(git, workspace, _target(workspace), exchange.swapped)
    untouched = [path for path in exchange.swapped if await _now(git, workspace, path) == given.get(path, "")]
    own = await _versions(git, workspace, "HEAD", tuple(untouched))
    for path in untouched:
        if path not in own:
            (workspace.path / path).unlink(missing_ok=True)
    await _restore(git, workspace, "HEAD", tuple(own))


def _anywhere(names: tuple[str, ...]) -> list[str]:
    return [f":(top,glob)**/{name}{rest}" for name in names for rest in ("", "/**")]


def _exactly(paths: tuple[str, ...]) -> list[str]:
    return [f":(top,literal){path}" for path in paths]


def _target(workspace: Workspace) -> str:
    return f"refs/remotes/origin/{workspace.request.target_branch}"


async def _names(git: Git, workspace: Workspace, verb: str, *arguments: str) -> tuple[str, ...]:
    """Return the names a git command lists."""
    listed = await git.work(workspace.git_dir, workspace.path, verb, "-z", *arguments)
    return tuple(name for name in listed.split("\0") if name)


async def _restore(git: Git, workspace: Workspace, source: str, paths: tuple[str, ...]) -> None:
    """Make files in the worktree what they are in a commit, or absent; the index stays as it is."""
    if paths:
        options = ("--worktree", "--ignore-skip-worktree-bits", f"--source={source}")
        await git.work(workspace.git_dir, workspace.path, "restore", *options, "--", *_exactly(paths))


async def _flag(git: Git, workspace: Workspace, flag: str, paths: tuple[str, ...]) -> tuple[str, ...]:
    """Tell the index whether to look at these files, those of them that it knows, which are returned."""
    known = await _names(git, workspace, "ls-files", "--", *_exactly(paths))
    stdin = "".join(f"{path}\0" for path in known).encode()
    await git.work(workspace.git_dir, workspace.path, "update-index", flag, "-z", "--stdin", stdin=stdin)
    return known


async def _versions(git: Git, workspace: Workspace, commit: str, paths: tuple[str, ...]) -> dict[str, str]:
    """Return the object id of each of these files in a commit, those that it has."""
    if not paths:
        return {}
    listed = await _names(git, workspace, "ls-tree", "-r", commit, "--", *paths)
    fields = (entry.partition("\t") for entry in listed)
    return {path: about.split()[2] for about, _, path in fields}


async def _now(git: Git, workspace: Workspace, path: str) -> str:
    """Return the object id a file in the worktree would have; empty when there is none."""
    file = workspace.path / path
    if any(step.is_symlink() for step in file.parents if step.is_relative_to(workspace.path)):
        return "under a link"
    if file.is_symlink():
        text = str(file.readlink()).encode()
        return await git.work(workspace.git_dir, workspace.path, "hash-object", "--stdin", stdin=text)
    if not file.exists():
        return ""
    if not file.is_file():
        return "no file"
    return await git.work(workspace.git_dir, workspace.path, "hash-object", "--", path)
