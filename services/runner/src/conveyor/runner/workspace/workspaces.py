"""The door of the workspace room: prepare, commit, push and remove, one repository's references at a time."""

from pathlib import Path

from conveyor.runner.workspace import publish, worktree
from conveyor.runner.workspace.git import Git
from conveyor.runner.workspace.mirror import Mirror
from conveyor.runner.workspace.places import Request, Workspace, mirror_path, worktree_path


class Workspaces:
    """Every workspace of one runner, under one root that no other runner uses."""

    def __init__(self, root: Path, git: Git) -> None:
        self._root = root.resolve()
        self._git = git
        self._mirrors: dict[str, Mirror] = {}

    async def prepare(self, request: Request) -> Workspace:
        """Return a clean worktree at the start of a run.

        TransientError when the forge cannot be reached, PermanentError when there is nothing to start from.
        """
        mirror = self._mirror(request)
        async with mirror.lock:
            await mirror.fetch()
            return await worktree.prepare(self._git, mirror, self._root, request)

    async def read_target(self, request: Request, file: str) -> str | None:
        """Return a file of the target branch as of the last fetch; None when it is not there."""
        return await self._mirror(request).read(request.target_branch, file)

    async def commit(self, workspace: Workspace, message: str) -> str:
        """Commit what the agent left and return the head."""
        async with self._mirror(workspace.request).lock:
            return await publish.commit(self._git, workspace, message)

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

    async def remove(self, request: Request) -> None:
        """Remove a task's worktree; no matter if there is none."""
        mirror = self._mirror(request)
        async with mirror.lock:
            if mirror.path.is_dir():
                await worktree.remove(self._git, mirror.path, worktree_path(self._root, request.project, request.key))

    def _mirror(self, request: Request) -> Mirror:
        path = mirror_path(self._root, request.repository)
        if request.repository not in self._mirrors:
            self._mirrors[request.repository] = Mirror(self._git, path, request.url)
        return self._mirrors[request.repository]
