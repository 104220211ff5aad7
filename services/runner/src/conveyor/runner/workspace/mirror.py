"""The bare mirror of one repository: made once, fetched before every run, made anew when it is broken."""

import asyncio
import shutil
from pathlib import Path

from conveyor.contracts.errors import TransientError
from conveyor.runner.workspace.git import Git, GitError
from conveyor.runner.workspace.spare import Spare

_CONFIG = """[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = true
[remote "origin"]
\turl = {url}
\tfetch = +refs/heads/*:refs/remotes/origin/*
"""
_EXCLUDED = ".conveyor/\n"
_SEARCHED = ".conveyor/"
"""Where a repository keeps prompts and hooks of its own."""


class Mirror:
    """One repository's mirror. `lock` guards everything that changes its references or tasks' worktrees."""

    def __init__(self, git: Git, path: Path, url: str, spare: Spare) -> None:
        self._git = git
        self.path = path
        self.url = url
        self.spare = spare
        self.lock = asyncio.Lock()
        self._fetches = 0
        self._listed: dict[str, frozenset[str]] = {}

    async def fetch(self) -> None:
        """Bring the mirror up to date. TransientError when the forge cannot be reached, GitError when it refuses."""
        if not (self.path / "HEAD").is_file():
            await self._make()
        try:
            await self._fetch()
        except GitError:
            if await self._is_sound():
                raise
            await self._make()
            await self._fetch()

    def settle(self) -> None:
        """Write the configuration anew: an agent in a worktree can reach it, and it decides where we push."""
        (self.path / "config").write_text(_CONFIG.format(url=self.url))
        (self.path / "info").mkdir(exist_ok=True)
        (self.path / "info" / "exclude").write_text(_EXCLUDED)
        remote = self.path / "refs" / "remotes"
        for stale in (*self.path.glob("*.lock"), *remote.rglob("*.lock"), self.path / "config.worktree"):
            stale.unlink(missing_ok=True)

    async def commit_of(self, branch: str) -> str:
        """Return the commit a branch had on the forge at the last fetch; empty when it was not there."""
        try:
            return await self._git.run(
                self.path, "rev-parse", "--verify", "-q", f"refs/remotes/origin/{branch}^{{commit}}"
            )
        except GitError:
            return ""

    async def read(self, branch: str, file: str) -> str | None:
        """Return a file as it is on a branch of the forge; None when it is not there."""
        if file.startswith(_SEARCHED) and file not in await self._searched(branch):
            return None
        try:
            return await self._git.run(self.path, "show", f"refs/remotes/origin/{branch}:{file}")
        except GitError:
            return None

    async def _searched(self, branch: str) -> frozenset[str]:
        """Return what our folder holds on a branch, listed once a fetch: each run asks for what is seldom there."""
        fetches = self._fetches
        known = self._listed.get(branch)
        if known is not None:
            return known
        try:
            names = await self._git.run(
                self.path, "ls-tree", "-r", "-z", "--name-only", f"refs/remotes/origin/{branch}", _SEARCHED
            )
        except GitError:
            names = ""
        listed = frozenset(names.split("\0"))
        if fetches == self._fetches:  # else it may be older than what was fetched meanwhile
            self._listed[branch] = listed
        return listed

    async def _fetch(self) -> None:
        self.settle()
        try:
            await self._git.talk(self.path, self.url, "fetch", "--prune", "--no-tags", "--force", "origin")
        finally:
            self._fetches += 1
            self._listed.clear()

    async def _make(self) -> None:
        """Make it from nothing; worktrees that hung on the old one are found broken and made anew."""
        await asyncio.to_thread(shutil.rmtree, self.path, ignore_errors=True)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        await self._git.run(self.path, "init", "--bare", "--quiet", str(self.path))

    async def _is_sound(self) -> bool:
        """Whether a failed fetch was the forge's word and not ours: every reference we hold can be read."""
        try:
            await self._git.run(self.path, "rev-list", "--all", "--objects", "--quiet")
        except (GitError, TransientError):
            return False
        return True
