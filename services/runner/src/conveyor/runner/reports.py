"""What the runner tells the engine: a run began, a run ended; each under an id that its run gives it, so once."""

from conveyor.contracts.events import AnyEvent, Origin, RunFinished, RunStarted
from conveyor.contracts.ids import digest
from conveyor.contracts.outcomes import Outcome
from conveyor.runner.claims import RunRecord
from conveyor.servicekit.clock import Clock

SOURCE = "runner"


def started(record: RunRecord) -> AnyEvent:
    """Return the event that a runner took the run."""
    return RunStarted(
        event_id=digest(SOURCE, record.run_id, "started"),
        project=record.project,
        key=record.key,
        at=record.claimed_at,
        received_at=record.claimed_at,
        source=SOURCE,
        origin=Origin.RUNNER,
        trace_id=record.trace_id,
        run_id=record.run_id,
        runner_id=record.runner_id,
    )


def finished(record: RunRecord, outcome: Outcome, clock: Clock) -> AnyEvent:
    """Return the event of the run's one outcome."""
    now = clock.now()
    return RunFinished(
        event_id=digest(SOURCE, record.run_id, "finished"),
        project=record.project,
        key=record.key,
        at=now,
        received_at=now,
        source=SOURCE,
        origin=Origin.RUNNER,
        trace_id=record.trace_id,
        run_id=record.run_id,
        outcome=outcome,
    )
