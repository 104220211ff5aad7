"""Whose worktree is whose: one small note each, outside the worktree, so that no folder's name has to be guessed at."""

from pathlib import Path

import msgspec

from conveyor.runner.workspace.places import Request, worktree_path


class Tenants:
    """The notes under `tenants/`; written before a worktree is made and removed after it is gone."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / "tenants"
        self._folder.mkdir(parents=True, exist_ok=True)
        found = sorted((path.stat().st_mtime, path) for path in self._folder.glob("*.json"))
        self._known = {path.stem: request for _, path in found if (request := _read(path)) is not None}

    def note(self, request: Request) -> None:
        """Remember for whom a worktree is, and that it was wanted just now."""
        path = self._path(request)
        draft = path.with_suffix(".new")
        draft.write_bytes(msgspec.json.encode(request))
        draft.replace(path)
        self._known.pop(path.stem, None)
        self._known[path.stem] = request

    def forget(self, request: Request) -> None:
        """There is no such worktree any more."""
        path = self._path(request)
        path.unlink(missing_ok=True)
        self._known.pop(path.stem, None)

    def all(self) -> list[Request]:
        """Return for whom there are worktrees, the one that was not wanted for longest first."""
        return list(self._known.values())

    def strays(self) -> list[Path]:
        """Return worktrees that are nobody's: without a word on them the disk would fill slowly."""
        folder = self._root / "worktrees"
        if folder.is_symlink():  # what lies behind it is not ours to delete
            return []
        return [path for path in folder.glob("*") if path.name not in self._known]

    def _path(self, request: Request) -> Path:
        return self._folder / f"{worktree_path(self._root, request.project, request.key).name}.json"


def _read(path: Path) -> Request | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Request)
    except (OSError, msgspec.MsgspecError):  # cut off by a crash: the worktree counts as nobody's from now on
        path.unlink(missing_ok=True)
        return None
