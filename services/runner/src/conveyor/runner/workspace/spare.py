"""A worktree checked out ahead, one a mirror: a new task's is then only renamed and brought up to date.

On a large repository the checkout is most of what a run costs beside its agent. A spare is made while the runner has
nothing to do, and no agent ever sees it before it is a task's. It is known in memory alone: what an earlier life of the
runner left is deleted.
"""

import asyncio
from pathlib import Path

from conveyor.runner.workspace.git import Git
from conveyor.runner.workspace.places import Workspace
from conveyor.runner.workspace.removal import delete

WORTH_S = 0.3
"""A repository that is checked out faster needs none."""
_LOOK_S = 0.05


class Spare:
    """One mirror's spare. The last segment of `place`, where it lies, is its name in the mirror too."""

    def __init__(self, git: Git, mirror: Path, place: Path) -> None:
        self._git = git
        self._place = place
        self._mirror = mirror
        self._git_dir = mirror / "worktrees" / place.name
        self._branch = ""
        self._is_ready = False
        self._lock = asyncio.Lock()

    @property
    def is_wanted(self) -> bool:
        """Whether there should be one and is none."""
        return bool(self._branch) and not self._is_ready

    def want(self, branch: str) -> None:
        """Have one made at the next rest, of what this branch holds then."""
        self._branch = branch

    async def make(self) -> None:
        """Make it, beside whatever else goes on in the mirror; GitError, TransientError or OSError when that fails."""
        async with self._lock:
            await self._clear()
            self._place.parent.mkdir(parents=True, exist_ok=True)
            await self._git.run(
                self._mirror, "worktree", "add", "--quiet", "--force", "--lock", "--detach", str(self._place),
                f"refs/remotes/origin/{self._branch}",
            )  # fmt: skip
            await self._second_passed()
            await self._git.work(self._git_dir, self._place, "update-index", "-q", "--refresh")
            self._is_ready = True

    def take(self, workspace: Workspace) -> bool:
        """Turn it into this workspace's worktree, of which nothing is there; False when there is none.

        OSError when it is broken; the workspace's place may then hold a part of it.
        """
        if not self._is_ready:
            return False
        self._is_ready = False
        self._git_dir.rename(workspace.git_dir)
        self._place.rename(workspace.path)
        (workspace.git_dir / "gitdir").write_text(f"{workspace.path}/.git\n")
        return True

    async def drop(self) -> bool:
        """Delete it, and have none made until one is wanted again; return whether there was one."""
        async with self._lock:
            was_ready, self._is_ready, self._branch = self._is_ready, False, ""
            await self._clear()
        return was_ready

    async def _clear(self) -> None:
        await asyncio.to_thread(delete, self._git_dir)
        await asyncio.to_thread(delete, self._place)

    async def _second_passed(self) -> None:
        """Wait until the file system's clock shows another second than the last file's.

        Git knows a file by whole seconds: of one written in the same second as its index it has to compare the content
        again and again. An index written later spares every later command that.
        """
        index, probe = self._git_dir / "index", self._git_dir / "second"
        while True:
            probe.touch()
            if int(probe.stat().st_mtime) > int(index.stat().st_mtime):
                return
            await asyncio.sleep(_LOOK_S)
