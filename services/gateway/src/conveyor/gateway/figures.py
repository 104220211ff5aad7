"""What the gateway counts: every delivery by source, outcome and reason, and how long a good one took."""

from contextlib import AbstractContextManager
from typing import Any

from conveyor.servicekit.metrics import Metrics


class Figures:
    """The gateway's own numbers, in the process's registry."""

    def __init__(self, metrics: Metrics) -> None:
        self._deliveries = metrics.counter(
            "deliveries_total", "Webhook deliveries by what became of them", ("source", "outcome", "reason")
        )
        self._seconds = metrics.histogram("intake_seconds", "From a verified delivery to its answer", ("source",))

    def count(self, source: str, outcome: str, reason: str) -> None:
        """Count one delivery: stored, duplicate, ignored, refused or unavailable, and why."""
        self._deliveries.labels(source, outcome, reason).inc()

    def timing(self, source: str) -> AbstractContextManager[Any]:
        """Measure what stands inside."""
        return self._seconds.labels(source).time()
