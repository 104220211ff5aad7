"""The relay: what a revision orders is published once, however often the revision is relayed; and found again."""

from datetime import UTC, datetime

import pytest

from conveyor.contracts import codec, subjects
from conveyor.contracts.errors import MessageError
from conveyor.contracts.events import TimerFired
from conveyor.contracts.outcomes import OutcomeKind, OutcomeReason
from conveyor.contracts.streams import COMMANDS, EVENTS, LOOKUP
from conveyor.contracts.transition import TaskRecord
from conveyor.servicekit.bus import Bucket, Bus, CommandQueue, Delivery, scan
from conveyor.stage_engine.relay import Relay
from tests.unit.stage_engine.story import Story

AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def delivery(story: Story) -> Delivery:
    """The last revision of this story as the relay gets it."""
    record = TaskRecord(task=story.task, event=story.told[-1], commands=story.last.commands, notes=story.last.notes)
    return Delivery(subject=subjects.task("shop", "SHOP-1"), body=codec.encode(record), seq=1, delivered=1, at=AT)


def relay(bus: Bus) -> Relay:
    return Relay(CommandQueue(bus), Bucket(bus, LOOKUP))


async def queued(bus: Bus) -> list[str]:
    return [message.headers["Conveyor-Type"] async for message in scan(bus, COMMANDS.name, COMMANDS.subjects)]


@pytest.mark.behaviour("SE-2", "SE-4")
async def test_a_revision_relayed_again_orders_nothing_twice(bus: Bus) -> None:
    """By the same engine or by another, after a crash between any two of its commands."""
    story = Story().start()
    await CommandQueue(bus).publish(story.last.commands[1])
    for engine in (relay(bus), relay(bus)):
        await engine(delivery(story))
        await engine(delivery(story))
    found = await queued(bus)
    assert sorted(found) == sorted(story.commands)
    rest = [name for name in found[1:] if name != "StartRun"]
    assert found[1] == "StartRun", "somebody waits for the run"
    assert rest == [name for place, name in enumerate(story.commands) if place != 1 and name != "StartRun"]


async def test_a_task_is_found_by_its_issue_and_by_its_commits(bus: Bus) -> None:
    story, engine, lookup = Story().start(), relay(bus), Bucket(bus, LOOKUP)
    await engine(delivery(story))
    issue = await lookup.get(f"issue.{story.task.issue_id}")
    assert issue is not None
    assert issue.value == b"SHOP-1"
    story.to("development").run_succeeds()
    await engine(delivery(story))
    commit = await lookup.get(f"commit.{story.task.head}")
    assert commit is not None
    assert commit.value == b"shop/SHOP-1"
    await engine(delivery(story.gate_passes()))
    again = await lookup.get(f"commit.{story.task.head}")
    assert again is not None
    assert again.revision == commit.revision, "a commit is written down once"


@pytest.mark.behaviour("SE-3")
async def test_a_timer_armed_again_is_one_timer(bus: Bus) -> None:
    story = Story().start().run_ends(OutcomeKind.TRANSIENT, OutcomeReason.NETWORK)
    for engine in (relay(bus), relay(bus)):
        await engine(delivery(story))
    (armed,) = [message async for message in scan(bus, EVENTS.name, ("timer.>",))]
    fires = codec.decode_event(armed.body)
    assert isinstance(fires, TimerFired)
    assert story.task.run is not None
    assert (fires.run_id, fires.at) == (story.task.run.run_id, story.task.run.not_before)
    assert await queued(bus) == []


async def test_a_record_that_cannot_be_read_is_refused_for_good(bus: Bus) -> None:
    with pytest.raises(MessageError):
        await relay(bus)(Delivery(subject="task.shop.SHOP-1", body=b"{}", seq=1, delivered=1, at=AT))
