"""What the demo has shown, counted from the bus and from the simulated servers, and where to look further."""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from conveyor.cli.demo.world import DemoWorld
from conveyor.contracts.commands import StartRun
from conveyor.contracts.events import Origin
from conveyor.contracts.transition import TaskRecord
from conveyor.simulator.delivery import Delivery


class Summary(Struct, frozen=True, kw_only=True):
    """The demo in figures; the last object of `conveyor demo --json`."""

    key: str
    seconds: float
    runs: int
    rollbacks: int
    webhooks_delivered: int
    webhooks_dropped: int
    repaired: int
    merge_sha: str
    log: tuple[str, ...]


def summarized(world: DemoWorld, records: Sequence[TaskRecord], log: Sequence[str], seconds: float) -> Summary:
    """Return the figures of a story that has ended."""
    deliveries = [*world.plane.courier.deliveries, *world.gitea.courier.deliveries]
    task = records[-1].task
    return Summary(
        key=task.key,
        seconds=round(seconds, 2),
        runs=sum(isinstance(command, StartRun) for record in records for command in record.commands),
        rollbacks=sum(task.budget.rollbacks.values()),
        webhooks_delivered=sum(delivery.taken for delivery in deliveries),
        webhooks_dropped=_dropped(deliveries),
        repaired=sum(record.event.origin is Origin.RECONCILER for record in records),
        merge_sha=task.merge_sha,
        log=tuple(log),
    )


def _dropped(deliveries: Sequence[Delivery]) -> int:
    return sum(delivery.outcome == "dropped" for delivery in deliveries)


def told(summary: Summary) -> Iterator[str]:
    """Yield the summary line by line."""
    yield ""
    yield f"{summary.key} went from To Analyse to done in {summary.seconds:.1f} s:"
    yield f"  {summary.runs} agent runs, {summary.rollbacks} rollback"
    webhooks = f"{summary.webhooks_delivered} webhooks delivered, {summary.webhooks_dropped} dropped"
    yield f"  {webhooks}, {summary.repaired} repaired by the reconciler"
    yield "  git log --oneline main:"
    yield from (f"    {line}" for line in summary.log)


def where_to_look(config: str, nats_url: str, key: str) -> Iterator[str]:
    """Yield what a person may type next, while everything still runs."""
    yield ""
    yield "Where to look (in another terminal):"
    yield f"  conveyor --config {config} status --all"
    yield f"  conveyor --config {config} task show {key}"
    yield f"  conveyor --config {config} logs {key}"
    yield f"  nats --server {nats_url} stream view TASKS"
    yield f"  nats --server {nats_url} stream view EVENTS"
    yield f"  nats --server {nats_url} micro ls"
