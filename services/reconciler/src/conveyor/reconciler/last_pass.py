"""What the last pass did, as people see it: `/queue` here, `conveyor status`, the console (RC-10)."""

from datetime import datetime

from msgspec import Struct

from conveyor.reconciler.ports import Notes
from conveyor.reconciler.remembered import recall
from conveyor.reconciler.report import LAST, Report


class Lost(Struct, frozen=True, kw_only=True):
    """What one source's webhooks lost today."""

    arrived: int
    repaired: int
    rate: float
    """The share that webhooks lost, from 0 to 1."""
    latest_s: float
    """How late the latest repair came, where the source tells a time."""


class LastPass(Struct, frozen=True, kw_only=True):
    """One pass."""

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
    """Runs whose runner is gone."""
    branches: dict[str, list[str]]
    """Project -> branches of tasks that ended long ago, still on the forge."""
    losses: dict[str, Lost]


async def last_pass(notes: Notes) -> LastPass | None:
    """Return what the last pass did, whoever made it; None before the first."""
    report = await recall(notes, LAST, Report)
    return shown(report) if report else None


def shown(report: Report) -> LastPass:
    """Return a report as it is shown."""
    return LastPass(
        at=report.at,
        duration_s=round(report.duration_s, 3),
        calls=report.calls,
        repaired=report.repaired,
        skipped_ended=report.ended,
        left_alone=report.guarded,
        duplicates=report.duplicates,
        failed=report.failed,
        last_repaired=report.last_repaired,
        last_repaired_at=report.last_repaired_at,
        orphans=tuple(report.orphans),
        branches={project: names for project, names in report.branches.items() if names},
        losses={
            source: Lost(
                arrived=one.arrived,
                repaired=one.repaired,
                rate=round(one.rate, 3),
                latest_s=round(one.latest_s, 1),
            )
            for source, one in report.losses.items()
        },
    )
