"""Repositories within a worktree: their `.git` goes before our git looks, for git obeys the configuration in there.

An agent that commits a repository of its own making as a submodule could otherwise name a program that our `git add`
runs with the runner's rights, outside of any sandbox. Their files stay, and are committed as files.
"""

import os
import shutil
import stat
from pathlib import Path

GIT = ".git"


def unnest(tree: Path) -> int:
    """Remove every `.git` below the worktree's own and return how many there were; OSError when one cannot be."""
    found, waiting = 0, [str(tree)]
    while waiting:
        folder = waiting.pop()
        for entry in _entries(folder):
            if entry.name == GIT and folder != str(tree):
                _remove(entry)
                found += 1
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
    return found


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """List a folder, also one whose rights an agent took away: git could still enter it by name."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except PermissionError:
        Path(folder).chmod(stat.S_IRWXU)
        with os.scandir(folder) as entries:
            return list(entries)


def _remove(entry: os.DirEntry[str]) -> None:
    if entry.is_dir(follow_symlinks=False):
        aside = Path(entry.path).with_name(".git-removed")
        shutil.rmtree(aside, ignore_errors=True)
        Path(entry.path).rename(aside)  # at one blow: what is left of it after a crash is no repository
        shutil.rmtree(aside, ignore_errors=True)
    else:
        Path(entry.path).unlink()
