"""One trace from a webhook to everything that comes of it: transitions, commands, runs, effects, gates (GW-7)."""

from pathlib import Path

import pytest

from conveyor.contracts import facts_ids
from conveyor.contracts.events import Origin
from conveyor.contracts.streams import COMMANDS, EVENTS, TASKS
from conveyor.contracts.task import DONE, Waiting
from conveyor.servicekit.bus import Bus, EventLog, scan
from conveyor.servicekit.nats_process import NatsProcess
from tests.rigs.house import KEY
from tests.rigs.stage import Stage, open_stage


@pytest.mark.behaviour("GW-7")
async def test_every_message_of_a_task_keeps_the_trace_of_the_webhook_that_set_it_off(
    bus: Bus, nats: NatsProcess, tmp_path: Path
) -> None:
    """From the start status to the approval everything is the start's doing, and after it the approval's."""
    async with open_stage(bus, nats.url, tmp_path) as stage:
        stage.begin()
        await stage.reaches("analysis", Waiting.PERSON)
        started = await traces(bus)
        stage.house.plane.comment(KEY, ":approved:")
        await stage.reaches(DONE)
        await assert_chained(stage, bus)
        (start,) = started
        history = [event for _, _, event in await EventLog(bus).history("shop", KEY)]
        told = {event.trace_id for event in history if not isinstance(event, Exception) and is_fact(event.origin)}
        assert start in told
        assert len(told) > 1, "the approval began a chain of its own"
        assert await traces(bus) == told, "nothing began a chain but facts from outside"


def is_fact(origin: Origin) -> bool:
    return origin in {Origin.WEBHOOK, Origin.RECONCILER}


async def traces(bus: Bus) -> set[str]:
    """Every trace that some message names in its header."""
    return {
        message.headers["Conveyor-Trace"]
        for stream in (EVENTS, TASKS, COMMANDS)
        async for message in scan(bus, stream.name, stream.subjects)
        if "Conveyor-Trace" in message.headers
    }


async def assert_chained(stage: Stage, bus: Bus) -> None:
    """Commands have the trace of the event that caused them; facts name their own; all else follows a command."""
    ordered: set[str] = set()
    for revision in await stage.house.revisions():
        event = revision.record.event
        if is_fact(event.origin):
            assert event.trace_id == facts_ids.trace_id(event.event_id)
            assert (event.source, event.project, event.key) == ("plane", "shop", KEY)
            assert event.actor, "who did it"
            assert event.delivery_id, "which delivery told it"
            assert event.at <= event.received_at
        else:
            assert event.trace_id in ordered, event
        for command in revision.record.commands:
            assert command.trace_id == event.trace_id, command
            ordered.add(command.trace_id)
