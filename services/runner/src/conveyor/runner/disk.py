"""How full the disk is under the runner's root: below a limit nothing more is claimed, and idle worktrees go."""

import shutil
from collections.abc import Callable
from pathlib import Path

_MIB = 1024 * 1024


def free_bytes(path: Path) -> int:
    """Return what is free on the disk that holds this folder."""
    return shutil.disk_usage(path).free


class Disk:
    """Asked before runs are taken and at every sweep."""

    def __init__(self, root: Path, min_free_mb: int, free: Callable[[Path], int] = free_bytes) -> None:
        self._root = root
        self._min_free_mb = min_free_mb
        self._free = free

    @property
    def is_full(self) -> bool:
        """Whether less is free than has to stay free."""
        return bool(self.problem)

    @property
    def problem(self) -> str:
        """Why nothing is claimed; empty when there is room."""
        if not self._min_free_mb:
            return ""
        free_mb = self._free(self._root) // _MIB
        if free_mb >= self._min_free_mb:
            return ""
        return f"only {free_mb} MB of disk are free at {self._root}, runner.min_free_mb is {self._min_free_mb}"
