"""Where a run has its temporary files, and how they go."""

import shutil
from pathlib import Path

from conveyor.runner.workspace.places import safe_name


def scratch_of(root: Path, run_id: str) -> Path:
    """Return a run's folder below the runner's root."""
    return root / "scratch" / safe_name(run_id)


def remove_scratch(root: Path, run_id: str) -> None:
    """Remove a run's temporary files; no matter if there are none."""
    shutil.rmtree(scratch_of(root, run_id), ignore_errors=True)
