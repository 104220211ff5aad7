"""What every event of the reconciler carries, whatever it was found by."""

from datetime import datetime
from typing import Any

from conveyor.contracts import facts_ids
from conveyor.contracts.events import Origin
from conveyor.reconciler.core.look import Pass

ENGINE = "engine"
"""The source of what our own machinery lost: no webhook would have told it."""


def carried(view: Pass, key: str, name: str, at: datetime) -> dict[str, Any]:
    """Return the fields of a fact that the tracker showed; `name` is its id, `at` the tracker's time of it."""
    return {"project": view.project.name, "key": key, "at": at, **republished(name, facts_ids.PLANE, view.now)}


def republished(name: str, source: str, now: datetime) -> dict[str, Any]:
    """Return the fields that do not depend on whom the fact is about."""
    return {
        "event_id": name,
        "received_at": now,
        "source": source,
        "origin": Origin.RECONCILER,
        "trace_id": facts_ids.trace_id(name),
    }
