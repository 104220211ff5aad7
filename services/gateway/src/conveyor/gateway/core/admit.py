"""From what a delivery tells to the event it becomes, or the reason why it becomes none (GW-5, GW-6)."""

from datetime import datetime
from typing import assert_never

from conveyor.gateway.core import forge, tracker
from conveyor.gateway.core.drafts import Draft, Ignored, IgnoredKind
from conveyor.gateway.core.registry import Registry, Situation
from conveyor.gateway.core.told import (
    CommentTold,
    IssueGone,
    IssueTold,
    Other,
    PullTold,
    PushTold,
    ReviewTold,
    StatusTold,
    Told,
    Unreadable,
)

AT_SIGHT = frozenset({IgnoredKind.UNKNOWN_PROJECT, IgnoredKind.NO_TASK})
"""What the registry alone decides, whatever else is known."""


def admit(told: Told, registry: Registry, situation: Situation) -> Draft | Ignored:
    """Return the event that a delivery stands for; the same delivery gives the same event id whenever it comes.

    What our own account did is ignored, so that our comment or status never starts a loop. CI is the exception: Gitea
    names as its author whoever pushed, which is often us, and we post no statuses.
    """
    if isinstance(told, Other | Unreadable):
        return _useless(told)
    if isinstance(told, StatusTold):
        return forge.status(told, registry, situation)
    if is_own(told, situation.own_id):
        return Ignored(IgnoredKind.OWN_ACCOUNT, "a change made by our own account")
    return _by_a_person(told, registry, situation)


def at_sight(told: Told, registry: Registry, received_at: datetime) -> Ignored | None:
    """Return why a delivery is ignored where that needs no question to anybody: such need not be kept for later."""
    if isinstance(told, Other | Unreadable):
        return _useless(told)
    found = admit(told, registry, Situation(received_at=received_at))
    return found if isinstance(found, Ignored) and found.kind in AT_SIGHT else None


def _useless(told: Other | Unreadable) -> Ignored:
    if isinstance(told, Unreadable):
        return Ignored(IgnoredKind.UNSUPPORTED, told.why)
    return Ignored(IgnoredKind.TEST if told.is_test else IgnoredKind.UNUSED_KIND, told.what)


def is_own(told: Told, own_id: str) -> bool:
    """Whether our own account did this: known by who acted, never by a field that a caller can set."""
    if isinstance(told, Other | Unreadable):
        return False
    actor = told.pull.actor if isinstance(told, ReviewTold) else told.actor
    return bool(own_id) and actor.actor_id.casefold() == own_id.casefold()


def _by_a_person(
    told: IssueTold | IssueGone | CommentTold | PushTold | PullTold | ReviewTold,
    registry: Registry,
    situation: Situation,
) -> Draft | Ignored:
    match told:
        case IssueTold():
            return tracker.issue(told, registry, situation)
        case IssueGone():
            return tracker.gone(told, situation)
        case CommentTold():
            return tracker.comment(told, registry, situation)
        case PushTold():
            return forge.push(told, registry, situation)
        case PullTold():
            return forge.pull_request(told, registry, situation)
        case ReviewTold():
            return forge.review(told, registry, situation)
        case _:
            assert_never(told)
