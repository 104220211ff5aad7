"""Plane as a sender of webhooks: its deliveries in the words of our core."""

from collections.abc import Mapping

from conveyor.adapters.plane import PlaneTracker
from conveyor.adapters.plane import webhook as plane
from conveyor.contracts.events import Actor
from conveyor.contracts.observed import TrackerState
from conveyor.gateway.admission import OwnAccount
from conveyor.gateway.core.told import CommentTold, Issue, IssueGone, IssueTold, Other, Told, Unreadable
from conveyor.gateway.plausible import plausible
from conveyor.gateway.ports import Source
from conveyor.gateway.settings import Settings

OUR_COMMENTS = "conveyor"
"""The external source that our tracker adapter gives the comments it posts."""
FIELDS = {"description_html": "description"}


def plane_source(settings: Settings, tracker: PlaneTracker) -> Source:
    """Return Plane as a sender of webhooks."""
    return Source(
        name="plane",
        secrets=tuple(secret.reveal() for secret in settings.plane.webhook_secrets if secret),
        signature_of=plane.signature_of,
        verify=plane.verify,
        read=told_by_plane,
        signature_header=plane.SIGNATURE_HEADER,
        kept_headers=(plane.EVENT_HEADER.lower(), plane.DELIVERY_HEADER.lower()),
        delivery_id_of=plane.delivery_id_of,
        own_id=OwnAccount(settings.plane.bot_user_id, tracker.me),
    )


def told_by_plane(headers: Mapping[str, str], body: bytes) -> Told:
    """Return what a delivery of Plane's tells; MessageError for what is none."""
    return plausible(_of_plane(plane.parse(headers, body)))


def _of_plane(delivery: plane.PlaneDelivery) -> Told:
    # Plane's later webhooks say so, or at least name their events with a dot, which ours do not
    if delivery.version != plane.V1 or "." in delivery.event:
        return Unreadable(why=f"Plane webhooks v2 ({delivery.event}) are not supported, use v1")
    content, what = delivery.content, f"{delivery.event} {delivery.action}"
    if content is None or delivery.actor is None:
        return Other(what=what)
    actor = Actor(actor_id=delivery.actor.actor_id, name=delivery.actor.name)
    if isinstance(content, plane.IssueSnapshot):
        field = FIELDS.get(delivery.field, delivery.field)
        return IssueTold(issue=_issue(content), field=field, new_value=delivery.new_value, actor=actor)
    if isinstance(content, plane.CommentSnapshot) and delivery.action == "created":
        return CommentTold(
            comment_id=content.comment_id,
            issue_id=content.issue_id,
            tracker_project_id=content.project_id,
            text=content.text,
            created_at=content.created_at,
            actor=actor,
            is_edited=content.is_edited,
            is_ours=content.external_source == OUR_COMMENTS,
        )
    if isinstance(content, plane.Deleted) and delivery.event == "issue":
        return IssueGone(issue_id=content.object_id, actor=actor)
    return Other(what=what)


def _issue(snapshot: plane.IssueSnapshot) -> Issue:
    return Issue(
        issue_id=snapshot.issue_id,
        tracker_project_id=snapshot.project_id,
        number=snapshot.sequence_id,
        title=snapshot.title,
        description=snapshot.description,
        state=TrackerState(state_id=snapshot.state_id, name=snapshot.state_name, group=snapshot.state_group),
        state_key=snapshot.state_key,
        created_at=snapshot.created_at,
        updated_at=snapshot.updated_at,
        is_touched=snapshot.is_touched,
    )
