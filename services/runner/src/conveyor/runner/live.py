"""What this runner has in hand, on its own disk: after a crash it says what to sweep and what is still owed."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from conveyor.contracts.outcomes import Outcome
from conveyor.runner.claims import Claim
from conveyor.runner.workspace.places import safe_name


class LiveRuns:
    """One small file a run, written before its agent starts and removed when its outcome is known to be stored."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "live"
        self._folder.mkdir(parents=True, exist_ok=True)

    def note(self, claim: Claim, outcome: Outcome | None = None) -> None:
        """Remember a run, and its outcome once there is one; on disk when this returns."""
        owed = msgspec.structs.replace(claim, record=msgspec.structs.replace(claim.record, outcome=outcome))
        path = self._path(claim.record.run_id)
        draft = path.with_suffix(".new")
        with draft.open("wb") as file:
            file.write(msgspec.json.encode(owed))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)

    def forget(self, run_id: str) -> None:
        """Nothing is owed any more."""
        self._path(run_id).unlink(missing_ok=True)

    def left(self) -> Iterator[tuple[Claim, Outcome | None]]:
        """Yield what an earlier life of this runner left behind, with the outcome where there was one already."""
        for path in sorted(self._folder.glob("*.json")):
            try:
                found = msgspec.json.decode(path.read_bytes(), type=Claim)
            except msgspec.MsgspecError:  # an unreadable note names no run, so it can owe nothing
                path.unlink()
                continue
            bare = msgspec.structs.replace(found.record, outcome=None)
            yield msgspec.structs.replace(found, record=bare), found.record.outcome

    def _path(self, run_id: str) -> Path:
        return self._folder / f"{safe_name(run_id)}.json"
