"""Which agents' sessions lie on this host, and what they had told of their use: for a resume and for honest sums."""

from pathlib import Path

import msgspec

from conveyor.contracts.outcomes import Usage
from conveyor.runner.workspace.places import safe_name


class Sessions:
    """One small file a session. A session that was held on another host cannot be resumed here."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "sessions"

    def prune(self, older_than_s: float, now_s: float) -> None:
        """Forget sessions that nobody went on with for so long."""
        for path in self._folder.glob("*/*.json"):
            if now_s - path.stat().st_mtime > older_than_s:
                path.unlink(missing_ok=True)

    def told(self, agent: str, session_id: str) -> Usage | None:
        """Return the total a session had told when its last run ended; None when it is not known here."""
        try:
            return msgspec.json.decode(self._path(agent, session_id).read_bytes(), type=Usage)
        except (OSError, msgspec.MsgspecError):
            return None

    def note(self, agent: str, session_id: str, told: Usage) -> None:
        """Remember a session and what it told."""
        path = self._path(agent, session_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        draft.write_bytes(msgspec.json.encode(told))
        draft.replace(path)

    def forget(self, agent: str, session_id: str) -> None:
        """It cannot be resumed any more."""
        self._path(agent, session_id).unlink(missing_ok=True)

    def _path(self, agent: str, session_id: str) -> Path:
        return self._folder / safe_name(agent) / f"{safe_name(session_id)}.json"
