"""Documents and results in the worktree, which an agent wrote: read and removed without following it anywhere else."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from conveyor.contracts.errors import PermanentError
from conveyor.runner.core.plan import result_file
from conveyor.runner.core.result_file import MAX_BYTES, Result, read_result


def clear(worktree: Path, folder: str, names: Iterable[str]) -> None:
    """Remove documents that this run has to write itself; PermanentError when one would lie outside the worktree."""
    for name in names:
        path = worktree / folder / name
        if not path.parent.resolve().is_relative_to(worktree.resolve()):
            raise PermanentError(f"{folder}/{name} lies outside the repository: remove the link on its way")
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise PermanentError(f"cannot remove {folder}/{name}, which this run has to write: {error}") from error


def read_left_result(worktree: Path, run_id: str) -> Result | str:
    """Return the result file's content, or a sentence on what is wrong with it; empty text when there is none.

    Only a regular file is read: a link might lead elsewhere, a pipe would hold us up.
    """
    path = worktree / result_file(run_id)
    if path.parent.is_symlink():
        return "the folder of the result file is a link"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"the result file cannot be opened: {error.strerror}"
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return "the result file is no regular file"
    with os.fdopen(descriptor, "rb") as file:
        return read_result(file.read(MAX_BYTES + 1), run_id)
