"""What an agent left goes back: one commit on top of its own, pushed only onto what we saw, once rebased if need be."""

from conveyor.contracts.errors import PermanentError
from conveyor.runner.workspace.git import Git, GitError
from conveyor.runner.workspace.leftovers import clear_leftovers, clear_locks
from conveyor.runner.workspace.mirror import Mirror
from conveyor.runner.workspace.places import Workspace
from conveyor.runner.workspace.worktree import RUNNER_FOLDER

_MOVED = ("stale info", "fetch first", "non-fast-forward", "cannot lock ref", "failed to update ref")


class PushRejectedError(PermanentError):
    """The forge does not take the branch: somebody's work is in the way, or a rule of the repository."""


async def commit(git: Git, workspace: Workspace, message: str) -> str:
    """Commit everything but the runner's own folder and return the head; the base when nothing was left.

    The tree is walked once: on a large one every walk is felt.
    """
    tree = (workspace.git_dir, workspace.path)
    clear_locks(workspace)
    if (workspace.git_dir / "rebase-merge").is_dir() or (workspace.git_dir / "rebase-apply").is_dir():
        await _abort_rebase(git, workspace)
    await git.work(*tree, "add", "--all", "--", ".")
    staged = await _staged(git, workspace)
    if any(name.startswith(f"{RUNNER_FOLDER}/") for name in staged):
        await git.work(*tree, "reset", "--quiet", "--", RUNNER_FOLDER)
        staged = await _staged(git, workspace)
    if (workspace.git_dir / "MERGE_HEAD").exists():  # the agent's own merge, not concluded
        await git.work(*tree, "commit", "--quiet", "--no-verify", "--file=-", stdin=message.encode())
    elif staged:
        made = await git.work(*tree, "write-tree")
        head = await git.work(*tree, "commit-tree", "-p", "HEAD", "-F", "-", made, stdin=message.encode())
        await git.work(*tree, "update-ref", "HEAD", head)
    return await git.work(*tree, "rev-parse", "HEAD")


async def has_changed(git: Git, workspace: Workspace, head: str) -> bool:
    """Whether a commit holds another tree than the run began with."""
    trees = await git.run(workspace.mirror, "rev-parse", f"{workspace.base}^{{tree}}", f"{head}^{{tree}}")
    return len(set(trees.splitlines())) > 1


async def push(git: Git, mirror: Mirror, workspace: Workspace, head: str) -> str:
    """Push a commit to the task's branch and return what lies there now.

    Only onto the commit we saw (a lease). If somebody pushed meanwhile: fetch, rebase, push once more.
    PushRejectedError when that does not do, TransientError when the forge cannot be reached.
    """
    if await _push(git, mirror, workspace, head, workspace.expected):
        return head
    await mirror.fetch()
    there = await mirror.commit_of(workspace.request.branch)
    if there == head:
        return head
    rebased = await _rebase(git, workspace, head, there) if there else head
    if await _push(git, mirror, workspace, rebased, there):
        return rebased
    raise PushRejectedError(f"{workspace.request.branch} moved twice on the forge while it was pushed")


async def _push(git: Git, mirror: Mirror, workspace: Workspace, head: str, expected: str) -> bool:
    """Whether the forge took it; False when the branch is not what we expected."""
    reference = f"refs/heads/{workspace.request.branch}"
    mirror.settle()
    try:
        await git.talk(
            mirror.path, mirror.url, "push", "--porcelain", "--no-verify", f"--force-with-lease={reference}:{expected}",
            "origin", f"{head}:{reference}",
        )  # fmt: skip
    except GitError as error:
        if any(word in error.output for word in _MOVED):
            return False
        raise PushRejectedError(f"the forge refused {workspace.request.branch}: {_refusal(error)}") from error
    return True


async def _rebase(git: Git, workspace: Workspace, head: str, onto: str) -> str:
    tree = (workspace.git_dir, workspace.path)
    try:
        await git.work(*tree, "rebase", "--quiet", "--onto", onto, workspace.base, head)
    except GitError as error:
        await _abort_rebase(git, workspace)
        raise PushRejectedError(
            f"{workspace.request.branch} got other commits meanwhile, and the run's work conflicts with them"
        ) from error
    return await git.work(*tree, "rev-parse", "HEAD")


async def _abort_rebase(git: Git, workspace: Workspace) -> None:
    try:
        await git.work(workspace.git_dir, workspace.path, "rebase", "--abort")
    except GitError:
        clear_leftovers(workspace)


async def _staged(git: Git, workspace: Workspace) -> list[str]:
    names = await git.work(workspace.git_dir, workspace.path, "diff", "--cached", "--name-only", "-z", "--no-renames")
    return [name for name in names.split("\0") if name]


def _refusal(error: GitError) -> str:
    said = [line.strip("! \t") for line in error.output.splitlines() if line.startswith(("!", "remote:"))]
    return "; ".join(said)[:300] or str(error)
