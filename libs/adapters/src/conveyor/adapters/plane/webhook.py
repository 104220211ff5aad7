"""Plane's webhook deliveries: is it from Plane, and what does it say. Pure; the gateway decides what comes of it.

The body may be newer or older than the change it tells of: it says look, not what is true (docs/protocols.md, Plane).
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from conveyor.adapters.plane import hook_shapes as shapes
from conveyor.adapters.plane.status_names import key_of
from conveyor.adapters.plane.text import comment_text, text_of
from conveyor.contracts.errors import MessageError

SIGNATURE_HEADER = "X-Plane-Signature"
EVENT_HEADER = "X-Plane-Event"
DELIVERY_HEADER = "X-Plane-Delivery"
V1 = "v1"
_FIELDS = {"state_id": "state", "label_ids": "labels", "assignee_ids": "assignees", "parent_id": "parent"}
_ACTIONS = {"create": "created", "update": "updated", "delete": "deleted"}
T = TypeVar("T")
_envelope = msgspec.json.Decoder(shapes.Envelope)
_issue_hook = msgspec.json.Decoder(shapes.IssueHook)
_comment_hook = msgspec.json.Decoder(shapes.CommentHook)
_deleted_hook = msgspec.json.Decoder(shapes.DeletedHook)


class PlaneActor(Struct, frozen=True, kw_only=True):
    """The owner of the key or session that made the change; no caller can set it."""

    actor_id: str
    name: str


class IssueSnapshot(Struct, frozen=True, kw_only=True):
    """The issue as it was when Plane built the delivery. The key is the project's identifier and `sequence_id`."""

    issue_id: str
    project_id: str
    sequence_id: int
    title: str
    state_id: str
    state_name: str
    state_group: str
    state_key: str
    """The logical key of the state's name; empty for a status that is not ours (SE-13)."""
    description: str
    created_at: datetime
    updated_at: datetime
    labels: tuple[str, ...] = ()
    assignee_ids: tuple[str, ...] = ()
    priority: str = "none"
    is_touched: bool = False
    """Whether anybody changed it since it was created: the delivery of its creation may show it as it was later."""
    is_draft: bool = False
    is_archived: bool = False


class CommentSnapshot(Struct, frozen=True, kw_only=True):
    """The comment as it was when Plane built the delivery; only on `created` is its writer the delivery's actor."""

    comment_id: str
    issue_id: str
    project_id: str
    text: str
    created_at: datetime
    updated_at: datetime
    is_edited: bool = False
    """Whether anybody, not only its author, rewrote it; an edit by REST leaves no other trace than this one."""
    external_source: str = ""


class Deleted(Struct, frozen=True, kw_only=True):
    """Something is gone; Plane 1.3 says this of projects only."""

    object_id: str


class PlaneDelivery(Struct, frozen=True, kw_only=True):
    """One delivery. `content` is None for an event that Conveyor has no use for."""

    event: str
    """issue, issue_comment, project, cycle, module, or a dotted name of a later webhook version."""
    action: str
    """created, updated or deleted."""
    delivery_id: str
    """New with every attempt: useless for telling whether it was seen before."""
    webhook_id: str
    version: str = V1
    """Of the webhooks; a later one has other shapes, and no content here."""
    actor: PlaneActor | None = None
    field: str = ""
    """What changed, by its name in the API: state, name, description_html, labels, assignees, priority, parent ..."""
    old_value: str = ""
    """As sent; of a state its id; lists and numbers as JSON; empty for null."""
    new_value: str = ""
    content: IssueSnapshot | CommentSnapshot | Deleted | None = None


def signature_of(headers: Mapping[str, str]) -> str:
    """Return the signature header's value, or an empty string."""
    return _header(headers, SIGNATURE_HEADER)


def delivery_id_of(headers: Mapping[str, str]) -> str:
    """Return the delivery's id, or an empty string; it is new each time, so it names no fact."""
    return _header(headers, DELIVERY_HEADER)


def verify(body: bytes, signature: str, secrets: Iterable[str]) -> bool:
    """Whether the raw body was signed with one of the secrets; constant time, an empty signature is unsigned."""
    claimed = signature.strip().lower().encode("utf-8", "replace")
    matches = [
        hmac.compare_digest(hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode(), claimed)
        for secret in secrets
        if secret
    ]
    return any(matches)


def parse(headers: Mapping[str, str], body: bytes) -> PlaneDelivery:
    """Return what the delivery says; unknown fields are ignored.

    Raises MessageError with the field's path when it is no JSON or misses what Conveyor needs. What Conveyor has no
    use for is a delivery without content.
    """
    envelope = _decode(body, _envelope)
    action = _ACTIONS.get(envelope.action, envelope.action)
    content: IssueSnapshot | CommentSnapshot | Deleted | None = None
    actor = envelope.activity.actor if envelope.activity else None
    if envelope.version in ("", V1):
        content = _content(envelope.event, action, body)
        if content is not None and actor is None:
            raise MessageError("Plane webhook: Object missing required field `actor` - at `$.activity`")
    activity = envelope.activity or shapes.Activity()
    return PlaneDelivery(
        event=envelope.event,
        action=action,
        delivery_id=delivery_id_of(headers),
        webhook_id=envelope.webhook_id,
        version=envelope.version or V1,
        actor=PlaneActor(actor_id=actor.id, name=actor.display_name) if actor else None,
        field=_FIELDS.get(activity.field or "", activity.field or ""),
        old_value=_text(activity.old_value),
        new_value=_text(activity.new_value),
        content=content,
    )


def _content(event: str, action: str, body: bytes) -> IssueSnapshot | CommentSnapshot | Deleted | None:
    if action == "deleted":
        return Deleted(object_id=_decode(body, _deleted_hook).data.id)
    if event == "issue":
        return _issue(_decode(body, _issue_hook).data)
    if event == "issue_comment":
        return _comment(_decode(body, _comment_hook).data)
    return None


def _issue(data: shapes.IssueData) -> IssueSnapshot:
    return IssueSnapshot(
        issue_id=data.id,
        project_id=data.project,
        sequence_id=data.sequence_id,
        title=data.name,
        state_id=data.state.id,
        state_name=data.state.name,
        state_group=data.state.group,
        state_key=key_of(data.state.name),
        description=text_of(data.description_html or ""),
        created_at=data.created_at,
        updated_at=data.updated_at,
        labels=tuple(label.name for label in data.labels),
        assignee_ids=tuple(person.id for person in data.assignees),
        priority=data.priority or "none",
        is_touched=data.updated_by is not None,
        is_draft=data.is_draft,
        is_archived=data.archived_at is not None,
    )


def _comment(data: shapes.CommentData) -> CommentSnapshot:
    return CommentSnapshot(
        comment_id=data.id,
        issue_id=data.issue,
        project_id=data.project,
        text=comment_text(data.comment_html or ""),
        created_at=data.created_at,
        updated_at=data.updated_at,
        is_edited=data.updated_by is not None,
        external_source=data.external_source or "",
    )


def _decode(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"Plane webhook: {error}") from error


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _header(headers: Mapping[str, str], name: str) -> str:
    wanted = name.lower()
    if (found := headers.get(wanted)) is not None:  # as servers hand them over
        return found
    return next((value for key, value in headers.items() if key.lower() == wanted), "")
