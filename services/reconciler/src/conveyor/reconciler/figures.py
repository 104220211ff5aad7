"""What the reconciler counts: passes, what they cost, and how much each source's webhooks lose (RC-11)."""

from conveyor.reconciler.core.losses import SILENT_AFTER
from conveyor.reconciler.report import Report
from conveyor.servicekit.metrics import Metrics

MINUTE, HOUR = 60, 3600
LATE_S = (MINUTE, 5 * MINUTE, 12 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR, 12 * HOUR, 24 * HOUR, 168 * HOUR)
"""With the grace and the interval as shipped, a loss is repaired within 12 minutes."""


class Figures:
    """The reconciler's own numbers, in the process's registry."""

    def __init__(self, metrics: Metrics) -> None:
        by_source = ("source",)
        self._passes = metrics.counter("passes_total", "Passes over all projects")
        self._repaired = metrics.counter("repaired_total", "Events that nobody had heard of, by source", by_source)
        self._late = metrics.histogram(
            "repair_lateness_seconds", "How late repairs came, where the source tells a time", by_source, LATE_S
        )
        self._rate = metrics.gauge("loss_ratio", "Share of today's facts that webhooks lost, by source", by_source)
        self._silent = metrics.gauge("source_silent", "1 while a source's webhooks have gone silent", by_source)
        self._failed = metrics.counter("failed_total", "Projects, issues and tasks that could not be looked at")
        self._listed = metrics.counter("listed_total", "Issues read from the tracker's lists")
        self._calls = metrics.counter("calls_total", "Calls made to tracker and forge")
        self._seconds = metrics.histogram("pass_seconds", "How long a pass took")

    def count(self, report: Report) -> None:
        """Count one pass."""
        self._passes.inc()
        self._failed.inc(report.failed)
        self._listed.inc(report.listed)
        self._calls.inc(report.calls)
        self._seconds.observe(report.duration_s)
        for source, late_s in report.late_s.items():
            self._repaired.labels(source).inc(len(late_s))
            for one_s in late_s:
                if one_s > 0:
                    self._late.labels(source).observe(one_s)
        for source, account in report.losses.items():
            self._rate.labels(source).set(account.rate)
            self._silent.labels(source).set(account.in_a_row >= SILENT_AFTER)

    def forget(self) -> None:
        """Show no rates any more: another process makes the passes now and knows them."""
        self._rate.clear()
        self._silent.clear()
