"""What the reconciler's last pass did, as `conveyor status` shows it below the tasks (RC-10)."""

from datetime import datetime

import msgspec
from msgspec import Struct

from conveyor.cli.show.ages import age
from conveyor.reconciler.handlers import LAST, Report
from conveyor.servicekit.bus import Bucket


class Lost(Struct, frozen=True, kw_only=True):
    """What one source's webhooks lost today."""

    arrived: int
    repaired: int
    rate: float
    """The share that webhooks lost, from 0 to 1."""


class LastPass(Struct, frozen=True, kw_only=True):
    """What `conveyor status --json` prints of it."""

    at: datetime
    duration_s: float
    calls: int
    repaired: int
    skipped_ended: int
    left_alone: int
    duplicates: int
    failed: int
    last_repaired: str
    last_repaired_at: datetime | None
    orphans: tuple[str, ...]
    losses: dict[str, Lost]


async def last_pass(notes: Bucket) -> LastPass | None:
    """Return what the last pass did; None before the first."""
    entry = await notes.get(LAST)
    return shown(msgspec.json.decode(entry.value, type=Report)) if entry else None


def shown(report: Report) -> LastPass:
    """Return a report as it is shown."""
    return LastPass(
        at=report.at,
        duration_s=report.duration_s,
        calls=report.calls,
        repaired=report.repaired,
        skipped_ended=report.ended,
        left_alone=report.guarded,
        duplicates=report.duplicates,
        failed=report.failed,
        last_repaired=report.last_repaired,
        last_repaired_at=report.last_repaired_at,
        orphans=tuple(report.orphans),
        losses={
            source: Lost(arrived=one.arrived, repaired=one.repaired, rate=round(one.rate, 3))
            for source, one in report.losses.items()
        },
    )


def line(seen: LastPass | None, now: datetime) -> str:
    """Return the line below the table."""
    if seen is None:
        return "Reconciler: no pass was made yet."
    parts = [
        f"Reconciler: last pass {age(seen.at, now)} ago in {seen.duration_s:.1f} s, {seen.calls} calls",
        f"{seen.repaired} repaired, {seen.duplicates} known already, {seen.skipped_ended} ended, {seen.failed} failed",
    ]
    if seen.last_repaired:
        parts.append(f"last repaired {seen.last_repaired} {age(seen.last_repaired_at, now)} ago")
    lossy = [f"{source} {one.rate:.0%}" for source, one in seen.losses.items() if one.repaired]
    if lossy:
        parts.append(f"lost today: {', '.join(lossy)}")
    if seen.orphans:
        parts.append(f"runs without a runner: {', '.join(seen.orphans)}")
    return "; ".join(parts) + "."
