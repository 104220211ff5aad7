"""Names and places: which folder belongs to which task, so that none collides and none leaves the root."""

import hashlib
import re
from pathlib import Path

from msgspec import Struct

from conveyor.contracts.commands import Update
from conveyor.contracts.errors import PermanentError

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_NAME_CHARS = 60


class Request(Struct, frozen=True, kw_only=True):
    """For whom a workspace is wanted."""

    project: str
    key: str
    repository: str
    """`owner/name` on the forge."""
    url: str
    """Where git fetches and pushes it."""
    branch: str
    target_branch: str
    update: Update = Update.NONE
    """How the target branch is brought into the task's."""


class Workspace(Struct, frozen=True, kw_only=True):
    """A worktree made ready for one run."""

    request: Request
    path: Path
    git_dir: Path
    """The worktree's own administration in the mirror; named explicitly, since the agent can rewrite `.git`."""
    mirror: Path
    base: str
    """The commit the run begins with."""
    expected: str
    """What the branch is on the forge; empty when it is not there yet."""
    is_new: bool = False
    """Whether the worktree was made just now."""
    conflicts: tuple[str, ...] = ()
    """Files that kept the target branch from being brought in; the run begins without it then."""


def safe_name(text: str) -> str:
    """Return text as one harmless path segment; a hash is added wherever it had to be changed, so none collide."""
    name = _UNSAFE.sub("-", text).lstrip(".-")[:_NAME_CHARS].rstrip(".")
    if name and name == text:
        return name
    return f"{name or 'x'}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def mirror_path(root: Path, repository: str) -> Path:
    """Return where the mirror of `owner/name` lies."""
    owner, _, name = repository.partition("/")
    return contained(root, root / "mirrors" / safe_name(owner) / f"{safe_name(name)}.git")


def worktree_path(root: Path, project: str, key: str) -> Path:
    """Return where a task's worktree lies; its last segment also names it in the mirror and so holds the project."""
    return contained(root, root / "worktrees" / f"{safe_name(project)}.{safe_name(key)}")


def spare_path(root: Path, repository: str) -> Path:
    """Return where the worktree lies that is checked out ahead for a repository; a task's has a dot in its name."""
    owner, _, name = repository.partition("/")
    return root / "spares" / safe_name(owner) / safe_name(name) / "spare"


def contained(root: Path, path: Path) -> Path:
    """Return the path if nothing on the way to it leads out of the root; PermanentError if a link does.

    The path itself may be a link: whoever makes it removes what is there first.
    """
    if not path.parent.resolve().is_relative_to(root.resolve()):
        raise PermanentError(f"{path} leads out of the runner's root {root}: remove the link there")
    return path
