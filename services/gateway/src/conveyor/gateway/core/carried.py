"""What every event from a webhook carries, whichever source it came from (GW-7)."""

from datetime import datetime
from typing import Any

from conveyor.contracts import facts_ids
from conveyor.contracts.events import Actor, Origin
from conveyor.gateway.core.registry import Situation


def carried(source: str, event_id: str, at: datetime, actor: Actor, situation: Situation) -> dict[str, Any]:
    """Return the fields of an event that do not depend on its kind; project and key stand empty until known."""
    return {
        "event_id": event_id,
        "project": "",
        "key": "",
        "at": at,
        "received_at": situation.received_at,
        "source": source,
        "origin": Origin.WEBHOOK,
        "trace_id": facts_ids.trace_id(event_id),
        "actor": actor,
        "delivery_id": situation.delivery_id,
    }
