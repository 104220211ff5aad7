"""What a git that was killed half-way leaves behind: locks, and operations in progress."""

import shutil

from conveyor.runner.workspace.places import Workspace

_LEFTOVERS = ("MERGE_HEAD", "MERGE_MSG", "CHERRY_PICK_HEAD", "REVERT_HEAD", "BISECT_LOG", "AUTO_MERGE")
_LEFTOVER_FOLDERS = ("rebase-merge", "rebase-apply", "sequencer")


def clear_locks(workspace: Workspace) -> None:
    """Remove the locks of a git that was killed; the agent is dead when this is called."""
    own = workspace.mirror / "refs" / "heads" / f"{workspace.request.branch}.lock"
    for lock in (*workspace.git_dir.glob("*.lock"), own):
        lock.unlink(missing_ok=True)


def clear_leftovers(workspace: Workspace) -> None:
    """Remove what a git killed half-way leaves behind: locks and operations in progress."""
    clear_locks(workspace)
    for name in _LEFTOVERS:
        (workspace.git_dir / name).unlink(missing_ok=True)
    for name in _LEFTOVER_FOLDERS:
        shutil.rmtree(workspace.git_dir / name, ignore_errors=True)
