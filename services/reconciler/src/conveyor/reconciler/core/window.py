"""How far back a pass has to look: the watermark of one project."""

from datetime import UTC, datetime, timedelta

from msgspec import Struct

EVER = datetime(1970, 1, 1, tzinfo=UTC)


class Mark(Struct, frozen=True, kw_only=True):
    """When a project was last looked at without a failure, and when its whole list was read."""

    looked_at: datetime
    full_at: datetime


class Window(Struct, frozen=True, kw_only=True):
    """How much one pass reads: what changed `since`, and what to note down if nothing fails."""

    since: datetime
    after: Mark


def window(mark: Mark | None, now: datetime, reach_s: float, full_every_s: float) -> Window:
    """Return what to read now.

    `reach_s` is the grace plus a margin for clocks that differ: what was too young to count as lost in the last pass
    must be seen again in this one. The whole list is read at first and every `full_every_s`.
    """
    if mark is None or now - mark.full_at >= timedelta(seconds=full_every_s):
        return Window(since=EVER, after=Mark(looked_at=now, full_at=now))
    since = mark.looked_at - timedelta(seconds=reach_s)
    return Window(since=since, after=Mark(looked_at=now, full_at=mark.full_at))
