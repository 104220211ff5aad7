"""What the gateway counts: every delivery by source, outcome and reason, how long a good one took, and what waits."""

from typing import Any

from conveyor.gateway.spool.queue import Spool
from conveyor.servicekit.clock import Clock
from conveyor.servicekit.metrics import Metrics


class Figures:
    """The gateway's own numbers, in the process's registry."""

    def __init__(self, metrics: Metrics) -> None:
        self._deliveries = metrics.counter(
            "deliveries_total", "Webhook deliveries by what became of them", ("source", "outcome", "reason")
        )
        self._counted: dict[tuple[str, str, str], Any] = {}
        """Looked up once each: the library checks and locks every time."""
        self._timed: dict[str, Any] = {}
        self._seconds = metrics.histogram("intake_seconds", "From a verified delivery to its answer", ("source",))
        self._drained = metrics.counter(
            "spool_drained_total", "Spooled deliveries by what became of them in the end", ("source", "outcome")
        )
        self._damaged = metrics.counter(
            "spool_damaged_total", "Records of the spool that a crash or the disk made unreadable", ("source",)
        )
        self._depth = metrics.gauge("spool_deliveries", "Deliveries that wait in the spool", ("source",))
        self._bytes = metrics.gauge("spool_bytes", "What the spool takes of the disk", ("source",))
        self._oldest = metrics.gauge("spool_oldest_seconds", "How long the first of the spool has waited", ("source",))

    def count(self, source: str, outcome: str, reason: str) -> None:
        """Count one delivery: stored, duplicate, spooled, ignored, refused or unavailable, and why."""
        found = self._counted.get((source, outcome, reason))
        if found is None:
            found = self._counted[source, outcome, reason] = self._deliveries.labels(source, outcome, reason)
        found.inc()

    def took(self, source: str, seconds: float) -> None:
        """Note how long a verified delivery took to be dealt with."""
        known = self._timed.get(source)
        if known is None:
            known = self._timed[source] = self._seconds.labels(source)
        known.observe(seconds)

    def drained(self, source: str, outcome: str) -> None:
        """Count one spooled delivery: stored, duplicate, ignored, malformed, refused or damaged."""
        self._drained.labels(source, outcome).inc()

    def damaged(self, source: str) -> None:
        """Count one record that cannot be read."""
        self._damaged.labels(source).inc()

    def watch(self, source: str, spool: Spool, clock: Clock) -> None:
        """Show a spool's depth, size and age whenever the numbers are asked for."""

        def age_s() -> float:
            oldest = spool.oldest
            return (clock.now() - oldest).total_seconds() if oldest else 0.0

        self._depth.labels(source).set_function(lambda: spool.depth)
        self._bytes.labels(source).set_function(lambda: spool.size)
        self._oldest.labels(source).set_function(age_s)
