"""What a service counts, for Prometheus: one registry per service, every name `conveyor_<service>_…`."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
"""Buckets for durations, from a publish to a run of half an hour."""


class Metrics:
    """The numbers of one service. Names are given without prefix and with their unit: `events_total`, `lag_seconds`."""

    def __init__(self, service: str) -> None:
        self._prefix = f"conveyor_{service.replace('-', '_')}_"
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)

    def counter(self, name: str, help_text: str, labels: Sequence[str] = ()) -> Counter:
        """Return a number that only grows."""
        return Counter(self._prefix + name, help_text, labels, registry=self.registry)

    def gauge(self, name: str, help_text: str, labels: Sequence[str] = ()) -> Gauge:
        """Return a number that goes up and down."""
        return Gauge(self._prefix + name, help_text, labels, registry=self.registry)

    def histogram(
        self, name: str, help_text: str, labels: Sequence[str] = (), buckets: Sequence[float] = SECONDS
    ) -> Histogram:
        """Return a distribution, of seconds unless other buckets are given."""
        return Histogram(self._prefix + name, help_text, labels, buckets=buckets, registry=self.registry)

    def page(self) -> bytes:
        """Return what `/metrics` answers, as CONTENT_TYPE."""
        return generate_latest(self.registry)
