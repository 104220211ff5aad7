"""Times and money as people read them."""

from datetime import datetime, timedelta

_STEPS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def age(since: datetime | None, now: datetime) -> str:
    """Return how long ago something was, in its two largest units: `2 h 5 min`; a dash for never."""
    if since is None:
        return "-"
    return duration(max(now - since, timedelta()))


def duration(span: timedelta) -> str:
    """Return a span in its two largest units, whole seconds at the least."""
    left, parts = int(span.total_seconds()), []
    for unit, seconds in _STEPS:
        count, left = divmod(left, seconds)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def money(usd: float) -> str:
    """Return US dollars; a dash for nothing spent."""
    return f"${usd:.2f}" if usd else "-"
