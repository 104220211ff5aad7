"""The clocks: whether tracker, forge and gateway tell the time that we tell, since times of verdicts are compared."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx

from conveyor.cli.doctor.finding import Clipboard, Finding
from conveyor.servicekit.clock import SYSTEM_CLOCK, Clock

TOLERATED_S = 2.0
PATIENCE_S = 5.0


async def look(addresses: Mapping[str, str], clock: Clock = SYSTEM_CLOCK) -> list[Finding]:
    """Return how far each one's clock is from ours, by the Date of an answer of any kind."""
    notes = Clipboard("clocks")
    async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
        for name, url in addresses.items():
            before = clock.now()
            try:
                response = await client.get(url)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                notes.of(name).skipped("skew", f"no answer from {url}: {type(error).__name__}")
                continue
            judge(notes.of(name), skew_s(response.headers.get("date", ""), before, clock.now()))
    return notes.findings


def skew_s(date: str, before: datetime, after: datetime) -> float | None:
    """Return for how many seconds a clock is surely off, positive when it is ahead; None when it told no time.

    The header has whole seconds, cut off, and was written at some moment between asking and being answered.
    """
    try:
        told = parsedate_to_datetime(date)
    except ValueError:
        return None
    if told.tzinfo is None:
        return None
    earliest, latest = told, told + timedelta(seconds=1)
    if latest < before:
        return (latest - before).total_seconds()
    return max((earliest - after).total_seconds(), 0.0)


def judge(notes: Clipboard, off_s: float | None) -> None:
    """Say whether this is tolerable."""
    if off_s is None:
        notes.skipped("skew", "its answers carry no date")
    elif abs(off_s) > TOLERATED_S:
        told = f"its clock is {abs(off_s):.0f} s {'ahead of' if off_s > 0 else 'behind'} ours"
        notes.warning("skew", told, "run NTP on both machines: which verdict came first is told by these clocks")
    else:
        notes.ok("skew", "its clock agrees with ours")
