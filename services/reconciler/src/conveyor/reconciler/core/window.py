"""How far back a pass has to look: the watermark of one project."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import ceil

from msgspec import Struct

EVER = datetime(1970, 1, 1, tzinfo=UTC)


class Mark(Struct, frozen=True, kw_only=True):
    """When a project's list was last read without a failure, and when the whole of it."""

    looked_at: datetime
    full_at: datetime
    owed: tuple[str, ...] = ()
    """Ids of issues that could not be looked at: the next pass does, so that one that fails holds nothing up."""


class Rhythm(Struct, frozen=True, kw_only=True):
    """How often what is looked at, in seconds."""

    interval_s: float
    """From pass to pass."""
    full_every_s: float
    """From whole list to whole list."""
    reach_s: float
    """The grace plus a margin for clocks that differ: what was too young to count as lost in the last pass must be
    seen again in the next."""


class Window(Struct, frozen=True, kw_only=True):
    """How much one pass reads: what changed `since`, and what to note down if nothing fails."""

    since: datetime
    after: Mark
    is_full: bool = False
    changed_since: datetime | None = None
    """What changed before was looked at closely by an earlier pass; None when none was made."""


def due_for_all(marks: Mapping[str, Mark | None], now: datetime, rhythm: Rhythm) -> frozenset[str]:
    """Return the projects whose whole list this pass reads: new ones, and the most overdue few of the others.

    A few, so that many projects do not spend the tracker's rate limit in the same minute (RC-9).
    """
    new = [name for name, mark in marks.items() if mark is None]
    overdue = sorted(
        (mark.full_at, name)
        for name, mark in marks.items()
        if mark is not None and now - mark.full_at >= timedelta(seconds=rhythm.full_every_s)
    )
    share = min(1.0, rhythm.interval_s / rhythm.full_every_s) if rhythm.full_every_s > 0 else 1.0
    return frozenset([*new, *(name for _, name in overdue[: ceil(len(marks) * share)])])


def window(mark: Mark | None, now: datetime, rhythm: Rhythm, *, is_full: bool) -> Window:
    """Return what to read now."""
    changed_since = mark.looked_at - timedelta(seconds=rhythm.reach_s) if mark else None
    if mark is None or is_full or changed_since is None:
        return Window(since=EVER, after=Mark(looked_at=now, full_at=now), is_full=True, changed_since=changed_since)
    return Window(since=changed_since, after=Mark(looked_at=now, full_at=mark.full_at), changed_since=changed_since)
