"""What is written down of a run, each word once: noted on our own disk, settled in its claim, told to the engine.

The note on the disk is the outbox. It is written before the claim is settled and goes once the engine's event is
stored: a runner that dies in between tells the same outcome when it comes back.
"""

from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from msgspec import Struct

from conveyor.contracts import subjects
from conveyor.contracts.errors import TransientError
from conveyor.contracts.outcomes import Outcome, OutcomeKind, OutcomeReason
from conveyor.runner import reports
from conveyor.runner.claims import Claim, Claims
from conveyor.runner.live import LiveRuns
from conveyor.servicekit import logs
from conveyor.servicekit.backoff import delays
from conveyor.servicekit.bus import EventLog, Leave
from conveyor.servicekit.clock import Clock
from conveyor.servicekit.metrics import Metrics

T = TypeVar("T")
_log = logs.get("runner")


class Shelf(Struct, frozen=True, kw_only=True):
    """Where it is written."""

    claims: Claims
    live: LiveRuns
    events: EventLog
    clock: Clock
    metrics: Metrics


class Books:
    """Begins and ends runs on paper. What is owed here cannot be given back, so it waits for the bus without end."""

    def __init__(self, shelf: Shelf) -> None:
        self.claims = shelf.claims
        self._live = shelf.live
        self._events = shelf.events
        self._clock = shelf.clock
        self._ended = shelf.metrics.counter("runs_total", "Runs that ended", ["kind", "reason"])

    async def begin(self, claim: Claim) -> None:
        """Note that a run is ours, and tell the engine that it began."""
        self._live.note(claim)
        started = reports.started(claim.record)
        await self._insist(lambda: self._events.publish(started))

    async def check(self, claim: Claim) -> None:
        """Raise Leave when the claim is gone: the run was declared lost and may have been given to another."""
        if not await self._insist(lambda: self.claims.holds(claim)):
            raise Leave(f"{claim.record.run_id} was given to another")

    async def end(self, claim: Claim, outcome: Outcome) -> None:
        """Settle a run of ours; Leave when somebody else settled it meanwhile."""
        self._live.note(claim, outcome)
        settled = await self.settle(claim, outcome)
        self._live.forget(claim.record.run_id)
        if not settled:
            raise Leave(f"{claim.record.run_id} was declared lost meanwhile")

    async def settle(self, claim: Claim, outcome: Outcome) -> bool:
        """Settle a claim and tell the engine, what was settled before if it was; False when somebody else did it."""
        settled = await self._insist(lambda: self.claims.finish(claim, outcome))
        if settled is None:
            return False
        event = reports.finished(claim.record, settled, self._clock)
        await self._insist(lambda: self._events.publish(event))
        self._ended.labels(settled.kind, settled.reason).inc()
        return True

    def left(self) -> Iterator[tuple[Claim, Outcome | None]]:
        """Yield what an earlier life of this runner had in hand, with the outcome where it was known already."""
        return self._live.left()

    async def clear(self, claim: Claim, outcome: Outcome | None) -> None:
        """Tell what an earlier life still owed: the outcome it knew, or that the run is lost."""
        await self.settle(claim, outcome or lost(claim))
        self._live.forget(claim.record.run_id)

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return what the bus answers, however long it is away."""
        for wait_s in delays(0.25, 10.0, self.claims.runner_id):
            try:
                return await call()
            except TransientError as error:
                _log.warning("the bus does not answer, trying again", reason=str(error))
                await self._clock.sleep(wait_s)
        raise AssertionError("delays never end")


def lost(claim: Claim) -> Outcome:
    """Return the outcome of a run whose runner is no more."""
    return Outcome(
        kind=OutcomeKind.LOST,
        reason=OutcomeReason.RUNNER_DIED,
        detail=f"runner {claim.record.runner_id} died or was cut off while it ran",
        log_subject=subjects.log(claim.record.project, claim.record.key, claim.record.run_id),
    )
