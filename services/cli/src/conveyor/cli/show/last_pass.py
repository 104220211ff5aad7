"""The reconciler's last pass in one line, as `conveyor status` shows it below the tasks (RC-10)."""

from datetime import datetime

from conveyor.cli.show.ages import age
from conveyor.reconciler.last_pass import LastPass


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
    if seen.branches:
        count = sum(len(names) for names in seen.branches.values())
        parts.append(f"branches of tasks that ended long ago: {count}")
    return "; ".join(parts) + "."
