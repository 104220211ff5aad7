"""What happened in the world, in the words that webhooks are made of, and the webhook bodies. Pure."""

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any, Literal

from conveyor.simulator.plane import shapes
from conveyor.simulator.plane.shapes import Json
from conveyor.simulator.plane.world import User, World

Event = Literal["project", "issue", "issue_comment"]
Action = Literal["created", "updated", "deleted"]


@dataclass(frozen=True)
class Happening:
    """One thing that Plane tells: for an update, one changed field under the name its origin uses."""

    event: Event
    action: Action
    subject_id: str
    actor: User
    field: str | None = None
    old_value: Any = None
    new_value: Any = None


def data_of(happening: Happening, world: World) -> Json | None:
    """The subject as the world shows it now; None when it is gone and nothing will be sent."""
    subject_id = happening.subject_id
    if happening.action == "deleted":
        return {"id": subject_id}
    if happening.event == "issue":
        issue = world.issues.get(subject_id)
        return shapes.issue_data(issue, world) if issue else None
    if happening.event == "issue_comment":
        comment = world.comments.get(subject_id)
        return shapes.comment(comment, world) if comment else None
    return None


def envelope(happening: Happening, webhook_id: str, workspace_id: str, data: Json) -> Json:
    """The whole body, keys in Plane's order; the identifiers are null on every delivery ever captured."""
    activity = {
        "field": happening.field,
        "new_value": happening.new_value,
        "old_value": happening.old_value,
        "actor": shapes.user(happening.actor),
        "old_identifier": None,
        "new_identifier": None,
    }
    return {
        "event": happening.event,
        "action": happening.action,
        "webhook_id": webhook_id,
        "workspace_id": workspace_id,
        "data": data,
        "activity": activity,
    }


def encoded(body: Json) -> bytes:
    """The bytes on the wire and under the signature: Python's default JSON, pure ASCII."""
    return json.dumps(body).encode()


def signature(secret: str, body: bytes) -> str:
    """X-Plane-Signature: bare lowercase hex of HMAC-SHA256, keyed by the whole secret with its prefix."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def label(happening: Happening, world: World) -> str:
    """A happening for people and for a fault's match, such as "issue updated state_id RIG-12"."""
    issue_id = happening.subject_id
    comment = world.comments.get(issue_id)
    issue = world.issues.get(comment.issue_id if comment else issue_id)
    words = [happening.event, happening.action, happening.field, world.key_of(issue) if issue else None]
    return " ".join(word for word in words if word)
