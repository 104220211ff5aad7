"""The decide loop at its edges: two engines that know different things, and events that cannot be applied."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from conveyor.contracts import codec, subjects
from conveyor.contracts.errors import PermanentError
from conveyor.contracts.events import AnyEvent, IssueStarted, Origin, RunFinished, RunStarted
from conveyor.contracts.outcomes import Outcome, OutcomeKind, OutcomeReason
from conveyor.contracts.pipelines import default_pipeline
from conveyor.contracts.project import Project
from conveyor.contracts.task import Task
from conveyor.servicekit.bus import Bus, Delivery, EventLog, TaskStore
from conveyor.servicekit.metrics import Metrics
from conveyor.stage_engine.handlers import Doorbell
from conveyor.stage_engine.projects import Projects

AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SHOP = Project(name="shop", tracker_project_id="p", identifier="SHOP", repository="acme/shop")
LOST = Outcome(kind=OutcomeKind.LOST, reason=OutcomeReason.RUNNER_DIED)


def said(event_id: str) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "project": "shop",
        "key": "SHOP-1",
        "at": AT,
        "received_at": AT,
        "source": "test",
        "origin": Origin.WEBHOOK,
        "trace_id": "t",
    }


STARTED = IssueStarted(**said("1"), issue_id="i", title="Tea")
FIRST_LOST = RunFinished(**said("2"), run_id="shop-SHOP-1-r1", outcome=LOST)
SECOND_BEGAN = RunStarted(**said("3"), run_id="shop-SHOP-1-r2", runner_id="b")


class Sees:
    """Looks at events as a test wants them seen."""

    def __init__(self, see: Callable[[AnyEvent], AnyEvent | None] = lambda event: event) -> None:
        self._see = see

    async def at(self, _task: Task | None, event: AnyEvent) -> AnyEvent | None:
        return self._see(event)


class Engine:
    """One engine's decide loop, rung by hand."""

    def __init__(self, bus: Bus, sees: Sees | None = None) -> None:
        self._log = EventLog(bus)
        stores = (self._log, TaskStore(bus))
        look: Any = sees or Sees()
        projects = Projects((SHOP,), {"default": default_pipeline()})
        self._doorbell = Doorbell(stores, projects, look, Metrics("engine"))

    async def ring(self, event: AnyEvent) -> None:
        """Store an event, unless it is, and ring for it."""
        stored = await self._log.publish(event)
        subject, body = subjects.event(event), codec.encode(event)
        await self._doorbell(Delivery(subject=subject, body=body, seq=stored.seq, delivered=1, at=AT))


async def task_in(bus: Bus) -> Task:
    stored = await TaskStore(bus).load("shop", "SHOP-1")
    assert stored is not None
    return stored.record.task


@pytest.mark.behaviour("SE-2", "SE-4")
async def test_an_event_that_changes_nothing_is_believed_only_of_the_latest_task(bus: Bus) -> None:
    """One engine sees the second event as void and holds the third against what it remembers; the other acted on it."""
    one = Engine(bus, Sees(lambda event: None if event.event_id == "2" else event))
    other = Engine(bus)
    await one.ring(STARTED)
    await other.ring(FIRST_LOST)
    await one.ring(SECOND_BEGAN)
    task = await task_in(bus)
    assert task.run is not None
    assert (task.run.run_id, task.run.runner_id) == ("shop-SHOP-1-r2", "b")


@pytest.mark.behaviour("SE-2")
async def test_a_lost_race_is_decided_anew_on_the_fresh_task(bus: Bus) -> None:
    one, other = Engine(bus), Engine(bus)
    await one.ring(STARTED)
    await other.ring(FIRST_LOST)
    await one.ring(SECOND_BEGAN)
    await other.ring(SECOND_BEGAN)
    task = await task_in(bus)
    assert task.revision == 3
    assert task.run is not None
    assert task.run.runner_id == "b"


@pytest.mark.behaviour("SE-3", "SE-4")
async def test_late_and_repeated_doorbells_change_nothing(bus: Bus) -> None:
    engine = Engine(bus)
    log = EventLog(bus)
    for event in (STARTED, FIRST_LOST, SECOND_BEGAN):
        await log.publish(event)
    for event in (SECOND_BEGAN, STARTED, FIRST_LOST, SECOND_BEGAN):
        await engine.ring(event)
        await Engine(bus).ring(event)
    assert (await task_in(bus)).revision == 3


@pytest.mark.behaviour("SE-4")
@pytest.mark.parametrize("comes", ["first", "last"])
async def test_an_event_that_cannot_be_applied_does_not_hold_up_the_next_and_is_not_lost(bus: Bus, comes: str) -> None:
    """Its own doorbell refuses it for good, also when those behind it have gone past already."""

    def see(event: AnyEvent) -> AnyEvent:
        if event.event_id == "2":
            raise PermanentError("the tracker refuses our key")
        return event

    engine = Engine(bus, Sees(see))
    await engine.ring(STARTED)
    await EventLog(bus).publish(FIRST_LOST)
    began = RunStarted(**said("4"), run_id="shop-SHOP-1-r1", runner_id="a")
    if comes == "last":
        await engine.ring(began)
    with pytest.raises(PermanentError, match="refuses our key"):
        await engine.ring(FIRST_LOST)
    await engine.ring(began)
    task = await task_in(bus)
    assert task.run is not None
    assert task.run.runner_id == "a"
