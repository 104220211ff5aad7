"""What every event of the engine's own carries: about which task, when, and in whose trace."""

from datetime import datetime
from typing import Any

from conveyor.contracts.commands import AnyCommand
from conveyor.contracts.events import Origin


def header(command: AnyCommand, event_id: str, now: datetime) -> dict[str, Any]:
    """Return the fields of an event that tells, at this time, what came of a command."""
    return {
        "event_id": event_id,
        "project": command.project,
        "key": command.key,
        "at": now,
        "received_at": now,
        "source": "engine",
        "origin": Origin.ENGINE,
        "trace_id": command.trace_id,
    }
