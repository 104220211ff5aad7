"""What the engine is not meant to get: it goes to DEAD or is ignored with a reason, and the next event is handled."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from conveyor.contracts import codec
from conveyor.contracts.events import RunFinished
from conveyor.contracts.task import Waiting
from conveyor.servicekit.bus import Bus, DeadLetters
from conveyor.servicekit.nats_process import NatsProcess
from tests.rigs import services, stand_in_runner
from tests.rigs.house import House, open_house
from tests.rigs.stage import Stage

Eventually = Callable[..., Awaitable[Any]]


@pytest.fixture
async def stage(bus: Bus, nats: NatsProcess, tmp_path: Path) -> AsyncIterator[Stage]:
    """An engine and a runner without a gateway: events are stored by hand."""
    async with (
        open_house(bus, nats.url, tmp_path) as house,
        services.engine(house, ack_wait_s=1.0),
        stand_in_runner.running(house) as runner,
    ):
        yield Stage(house, runner)


async def store(house: House, subject: str, body: bytes) -> None:
    """Put a message under a subject, whatever it is."""
    await house.bus.request(subject, body)


async def buried(house: House, eventually: Eventually, count: int) -> list[str]:
    """Wait until so many messages are dead, and return why."""

    async def all_there() -> bool:
        return len(await DeadLetters(house.bus).list()) >= count

    await eventually(all_there)
    letters = await DeadLetters(house.bus).list()
    assert len(letters) == count
    return [letter.error for letter in letters]


BAD = [
    ("event.shop.SHOP-1.issue_started", b"not json", "JSON"),
    ("event.shop.SHOP-1.issue_started", b'{"type":"IssueStolen","v":1}', "IssueStolen"),
    ("event.shop.SHOP-1.issue_started", b'{"type":"IssueStarted","v":99}', "version 99"),
    ("event.shop.SHOP-1.issue_started", b'{"type":"IssueStarted","v":1}', "wrong shape"),
    ("event.shop", b"{}", "subject"),
]


@pytest.mark.parametrize(("subject", "body", "why"), BAD)
async def test_what_cannot_be_read_is_buried_and_the_next_event_is_handled(
    stage: Stage, eventually: Eventually, subject: str, body: bytes, why: str
) -> None:
    await store(stage.house, subject, body)
    await stage.house.start(stage.house.issue())
    await stage.reaches("analysis", Waiting.PERSON)
    (error,) = await buried(stage.house, eventually, 1)
    assert why in error


async def test_an_event_of_an_unknown_project_says_what_to_do(stage: Stage, eventually: Eventually) -> None:
    event = structs.replace(await stage.house.start(stage.house.issue()), project="shoes", event_id="x")
    await stage.house.publish(event)
    (error,) = await buried(stage.house, eventually, 1)
    assert "no [[project]] is called 'shoes'" in error
    await stage.reaches("analysis", Waiting.PERSON)


async def test_an_event_under_another_tasks_subject_moves_neither(stage: Stage, eventually: Eventually) -> None:
    event = await stage.house.start(stage.house.issue())
    await stage.reaches("analysis", Waiting.PERSON)
    before = await stage.house.revisions()
    await store(stage.house, "event.shop.SHOP-2.issue_started", codec.encode(event))
    (error,) = await buried(stage.house, eventually, 1)
    assert "lies under shop/SHOP-2" in error
    assert await stage.house.task("SHOP-2") is None
    assert await stage.house.revisions() == before
    await stage.house.start(stage.house.issue("Second"))
    await stage.reaches("analysis", Waiting.PERSON, "SHOP-2")


async def test_events_of_no_task_and_from_the_future_are_quietly_ignored(stage: Stage) -> None:
    house = stage.house
    issue = house.issue()
    await house.judge(issue, ":approved:")
    event = await house.start(issue)
    await stage.reaches("analysis", Waiting.PERSON)
    later = event.at + timedelta(days=1)
    await house.publish(structs.replace(event, event_id="from-tomorrow", at=later))
    await stage.reaches("analysis", Waiting.PERSON)
    assert not await DeadLetters(house.bus).list()
    assert len(stage.runner.taken) == 1


async def test_the_outcome_of_a_run_that_is_over_is_ignored(stage: Stage) -> None:
    house = stage.house
    await house.start(house.issue())
    await stage.reaches("analysis", Waiting.PERSON)
    before = await house.revisions()
    finished = next(one.record.event for one in before if isinstance(one.record.event, RunFinished))
    await house.publish(structs.replace(finished, event_id="late"))
    await stage.reaches("analysis", Waiting.PERSON)
    assert await house.revisions() == before


async def test_a_command_that_cannot_be_read_is_buried_and_the_next_is_carried_out(
    stage: Stage, eventually: Eventually
) -> None:
    for subject in ("command.gate.shop.SHOP-1.x", "command.effect.tracker.shop.SHOP-1.x", "command.effect.merge.x.y.z"):
        await store(stage.house, subject, b"not json")
    await buried(stage.house, eventually, 3)
    await stage.house.start(stage.house.issue())
    await stage.reaches("analysis", Waiting.PERSON)


async def test_a_task_that_cannot_be_read_is_buried_with_what_comes_for_it_and_stops_no_other(
    stage: Stage, eventually: Eventually
) -> None:
    """Written by a newer version, say. It must not be decided upon; its events can be replayed after an upgrade."""
    await store(stage.house, "task.shop.SHOP-9", b'{"type":"TaskRecord","v":99}')
    (relayed,) = await buried(stage.house, eventually, 1)
    event = await stage.house.start(stage.house.issue())
    await stage.house.publish(structs.replace(event, key="SHOP-9", event_id="for-the-unreadable"))
    await stage.reaches("analysis", Waiting.PERSON)
    errors = await buried(stage.house, eventually, 2)
    assert all("TaskRecord has version 99" in error for error in (relayed, *errors))
