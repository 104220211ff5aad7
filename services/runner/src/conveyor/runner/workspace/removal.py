"""How a worktree goes: put aside at one blow, deleted at leisure, whatever an agent did to its rights."""

import os
import shutil
import tempfile
from pathlib import Path


def put_aside(path: Path, root: Path) -> Path:
    """Move a worktree into the root's trash, under a name of its own, and return that; no matter if there is none.

    Only a rename: deleting tens of thousands of files takes seconds, in which nobody should have to wait for a lock.
    """
    trash = trash_of(root)
    trash.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=trash)) / "gone"
    if path.is_symlink() or path.exists():
        path.rename(aside)
    return aside.parent


def trash_of(root: Path) -> Path:
    """Return where worktrees lie that are being deleted."""
    return root / "trash"


def delete(path: Path) -> None:
    """Delete a folder also where an agent took our rights away; a link is removed, never followed."""
    if path.is_symlink() or path.is_file():
        path.unlink()
        return
    for folder, _, _ in os.walk(path):
        Path(folder).chmod(0o700)
    if path.exists():
        shutil.rmtree(path)
