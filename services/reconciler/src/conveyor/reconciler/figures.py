"""What the reconciler counts: passes, what they cost, and what webhooks had lost."""

from conveyor.reconciler.report import Report
from conveyor.servicekit.metrics import Metrics


class Figures:
    """The reconciler's own numbers, in the process's registry."""

    def __init__(self, metrics: Metrics) -> None:
        self._passes = metrics.counter("passes_total", "Passes over all projects")
        self._repaired = metrics.counter("repaired_total", "Events that webhooks had lost, by source", ("source",))
        self._failed = metrics.counter("failed_total", "Projects, issues and tasks that could not be looked at")
        self._listed = metrics.counter("listed_total", "Issues read from the tracker's lists")
        self._seconds = metrics.histogram("pass_seconds", "How long a pass took")

    def count(self, report: Report) -> None:
        """Count one pass."""
        self._passes.inc()
        self._failed.inc(report.failed)
        self._listed.inc(report.listed)
        self._seconds.observe(report.duration_s)
        for source, repaired in report.by_source.items():
            self._repaired.labels(source).inc(repaired)
