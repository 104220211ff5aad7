"""Refuses times that nobody can mean: ids are made of them, and arithmetic beyond the calendar's ends would fail."""

from datetime import datetime

from conveyor.contracts.errors import MessageError
from conveyor.gateway.core.told import CommentTold, IssueTold, PullTold, ReviewTold, StatusTold, Told

FIRST_YEAR, LAST_YEAR = 1970, 9998


def plausible(told: Told) -> Told:
    """Return what was told; MessageError when a time in it names no zone or lies outside of 1970 to 9998."""
    for at in _times(told):
        if at is not None and (at.tzinfo is None or not FIRST_YEAR <= at.year <= LAST_YEAR):
            raise MessageError(f"expected a time with its zone between {FIRST_YEAR} and {LAST_YEAR}, got {at}")
    return told


def _times(told: Told) -> tuple[datetime | None, ...]:
    match told:
        case IssueTold(issue=issue):
            return issue.created_at, issue.updated_at
        case CommentTold():
            return (told.created_at,)
        case PullTold() | StatusTold():
            return (told.at,)
        case ReviewTold():
            return (told.pull.at,)
        case _:
            return ()
