"""The door of the workspace room: prepare, commit, push and remove, one repository's references at a time."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from conveyor.contracts.errors import TransientError
from conveyor.runner.workspace import publish, removal, worktree
from conveyor.runner.workspace.git import Git, GitError
from conveyor.runner.workspace.mirror import Mirror
from conveyor.runner.workspace.places import Request, Workspace, mirror_path, spare_path, worktree_path
from conveyor.runner.workspace.spare import Spare
from conveyor.runner.workspace.tenants import Tenants


class Workspaces:
    """Every workspace of one runner, under one root that no other runner uses."""

    def __init__(self, root: Path, git: Git) -> None:
        self._root = root.resolve()
        self._git = git
        self._tenants = Tenants(self._root)
        self._mirrors: dict[str, Mirror] = {}

    async def prepare(self, request: Request) -> Workspace:
        """Return a clean worktree at the start of a run.

        TransientError when the forge cannot be reached, PermanentError when there is nothing to start from.
        """
        mirror = self._mirror(request)
        async with mirror.lock:
            await mirror.fetch()
            self._tenants.note(request)
            return await worktree.prepare(self._git, mirror, self._root, request)

    async def read_target(self, request: Request, file: str) -> str | None:
        """Return a file of the target branch as of the last fetch; None when it is not there."""
        return await self._mirror(request).read(request.target_branch, file)

    async def commit(self, workspace: Workspace, message: str) -> str:
        """Commit what the agent left and return the head."""
        async with self._mirror(workspace.request).lock:
            return await publish.commit(self._git, workspace, message)

    def finish(self, workspace: Workspace) -> None:
        """Note that a new worktree is whole; one that never was is made anew for the next run."""
        worktree.finish(workspace)

    async def has_changed(self, workspace: Workspace, head: str) -> bool:
        """Whether the head holds another tree than the run began with."""
        return await publish.has_changed(self._git, workspace, head)

    async def differs_from_target(self, workspace: Workspace, head: str) -> bool:
        """Whether the head is not simply the target branch: only then there is something to propose."""
        return head != await self._mirror(workspace.request).commit_of(workspace.request.target_branch)

    async def push(self, workspace: Workspace, head: str) -> str:
        """Push the head to the task's branch and return what lies there; see `publish.push` for errors."""
        mirror = self._mirror(workspace.request)
        async with mirror.lock:
            return await publish.push(self._git, mirror, workspace, head)

    @property
    def tenants(self) -> list[Request]:
        """For whom there are worktrees, the one that was not wanted for longest first."""
        return self._tenants.all()

    def path_of(self, request: Request) -> Path:
        """Return where a task's worktree lies while there is one."""
        return worktree_path(self._root, request.project, request.key)

    async def remove(self, request: Request, *, unless: Callable[[], bool] = lambda: False) -> bool:
        """Remove a task's worktree and its branch in the mirror; no matter if there is none.

        Does nothing and returns False if `unless` holds once nobody else can prepare the worktree any more.
        """
        mirror = self._mirror(request)
        async with mirror.lock:
            if unless():
                return False
            path = worktree_path(self._root, request.project, request.key)
            if mirror.path.is_dir():
                aside = await worktree.remove(self._git, mirror.path, path)
                await self._forget_branch(mirror, request)
            else:
                aside = removal.put_aside(path, self._root)
            self._tenants.forget(request)
        await asyncio.to_thread(removal.delete, aside)
        return True

    async def remove_strays(self) -> int:
        """Delete worktrees that are nobody's, and what an earlier life put aside; return how many there were.

        To be called before the first spare is made: those of an earlier life go too.
        """
        strays = self._tenants.strays()
        aside = [removal.put_aside(path, self._root) for path in (*strays, self._root / "spares")]
        trash = removal.trash_of(self._root)
        for path in {*aside, *(trash.iterdir() if trash.is_dir() else ())}:
            await asyncio.to_thread(removal.delete, path)
        return len(strays)

    async def make_spare(self) -> bool:
        """Check out one worktree ahead where one is wanted; return whether one was.

        GitError, TransientError or OSError when it could not be made; it is wanted no longer then.
        """
        wanting = next((mirror.spare for mirror in self._mirrors.values() if mirror.spare.is_wanted), None)
        if wanting is None:
            return False
        try:
            await wanting.make()
        except (GitError, TransientError, OSError):
            await wanting.drop()
            raise
        return True

    async def drop_spares(self) -> int:
        """Delete what was checked out ahead, and return how many there were; OSError when one cannot be deleted."""
        return sum([await mirror.spare.drop() for mirror in list(self._mirrors.values())])

    async def maintain(self) -> None:
        """Pack what many fetches left in the mirrors; safe beside whatever else uses them.

        GitError or TransientError when git cannot; nothing is lost then, the mirror is only larger than it need be.
        """
        for path in sorted((self._root / "mirrors").glob("*/*.git")):
            await self._git.run(path, "maintenance", "run", "--quiet", "--task=loose-objects")
            await self._git.run(path, "maintenance", "run", "--quiet", "--task=incremental-repack")

    async def _forget_branch(self, mirror: Mirror, request: Request) -> None:
        try:
            await self._git.run(mirror.path, "update-ref", "-d", f"refs/heads/{request.branch}")
        except GitError:  # a branch that cannot be named cannot be there either
            return

    def _mirror(self, request: Request) -> Mirror:
        path = mirror_path(self._root, request.repository)
        if request.repository not in self._mirrors:
            spare = Spare(self._git, path, spare_path(self._root, request.repository))
            self._mirrors[request.repository] = Mirror(self._git, path, request.url, spare)
        return self._mirrors[request.repository]
