"""Operators' commands against a real bus: what they show, what they publish, and what they say came of it."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from conveyor.contracts import streams, subjects
from conveyor.contracts.events import (
    CheckResult,
    GateEvaluated,
    GateState,
    Origin,
    Role,
    RunFinished,
    RunStarted,
    VerdictGiven,
    Via,
)
from conveyor.contracts.outcomes import Outcome, OutcomeKind, OutcomeReason
from conveyor.servicekit.bus import Bucket, Bus, EventLog, wire
from conveyor.servicekit.bus.dead import bury
from conveyor.servicekit.bus.delivery import Delivery
from conveyor.servicekit.clock import SYSTEM_CLOCK
from tests.scenarios.cli.conftest import Conveyor, Decider

pytestmark = pytest.mark.behaviour("OP-2")
Facts = Callable[[int], dict[str, Any]]


async def ask_for_approval(decider: Decider, facts: Facts, state: GateState = GateState.PENDING) -> None:
    """Bring SHOP-1 to where the analysis waits for a person (or, with QUESTIONS, for an answer)."""
    outcome = Outcome(kind=OutcomeKind.SUCCEEDED, reason=OutcomeReason.FINISHED, head="0" * 40)
    await decider.tell(
        RunStarted(run_id="shop-SHOP-1-r1", runner_id="runner-1", **facts(2)),
        RunFinished(run_id="shop-SHOP-1-r1", outcome=outcome, **facts(3)),
    )
    stored = await decider.tasks.load("shop", "SHOP-1")
    assert stored is not None
    assert stored.record.task.gate is not None
    check = "analysis_complete" if state is GateState.QUESTIONS else "analysis_approved"
    result = CheckResult(check=check, state=state, reason="a person has to speak")
    gate_id = stored.record.task.gate.gate_id
    await decider.tell(GateEvaluated(gate_id=gate_id, sha="0" * 40, results=(result,), **facts(4)))


async def test_status_lists_tasks_and_runners(conveyor: Conveyor, decider: Decider, bus: Bus) -> None:
    await Bucket(bus, streams.RUNNERS).put("runner-1", b"{}")
    table = await conveyor("status")
    assert table.code == 0, table.err
    assert "SHOP-1" in table.out
    assert "analyst queued" in table.out
    assert "runner-1" in table.out
    found = (await conveyor("status", "--json")).json
    assert found["tasks"][0]["key"] == "SHOP-1"
    assert found["queued_runs"] == 1


async def test_task_show_tells_the_causal_timeline(conveyor: Conveyor, decider: Decider, facts: Facts) -> None:
    await ask_for_approval(decider, facts)
    await decider.tell(RunFinished(run_id="shop-SHOP-1-r0", outcome=_lost(), **facts(5)))
    text = await conveyor("task", "show", "SHOP-1")
    assert text.code == 0, text.err
    assert "waits for  person" in text.out
    assert "changed nothing: stale run shop-SHOP-1-r0" in text.out
    timeline = (await conveyor("task", "show", "SHOP-1", "--json")).json["timeline"]
    start = next(one for one in timeline[0]["commands"] if "start run" in one["text"])
    assert timeline[start["answered_by"] - 1]["kind"] == "run_finished"


def _lost() -> Outcome:
    return Outcome(kind=OutcomeKind.LOST, reason=OutcomeReason.RUNNER_DIED)


async def test_approve_publishes_a_verdict_and_tells_what_came_of_it(
    conveyor: Conveyor, decider: Decider, facts: Facts, bus: Bus
) -> None:
    await ask_for_approval(decider, facts)
    async with decider.awake():
        done = await conveyor("approve", "SHOP-1", "--as", "grace", "--json")
    event = (await EventLog(bus).history("shop", "SHOP-1"))[-1][2]
    assert isinstance(event, VerdictGiven)
    assert (event.origin, event.via) == (Origin.OPERATOR, Via.CLI)
    assert event.actor is not None
    assert (event.actor.name, event.actor.role) == ("grace", Role.OPERATOR)
    assert done.json["fate"] == "decided"
    assert "approved by grace" in done.json["notes"]


async def test_a_word_that_changes_nothing_is_told_with_the_reason(conveyor: Conveyor, decider: Decider) -> None:
    async with decider.awake():
        done = await conveyor("approve", "SHOP-1")
        unheard = await conveyor("answer", "SHOP-1", "yes")
    assert done.code == 1
    assert "ignored, nothing changed: " in done.out
    assert "no question is open" in unheard.out


async def test_an_answer_resumes_the_analyst(conveyor: Conveyor, decider: Decider, facts: Facts) -> None:
    await ask_for_approval(decider, facts, GateState.QUESTIONS)
    async with decider.awake():
        done = await conveyor("answer", "SHOP-1", "By name.", "--as", "grace")
    assert done.code == 0, done.out + done.err
    stored = await decider.tasks.load("shop", "SHOP-1")
    assert stored is not None
    assert "By name." in stored.record.task.instructions
    assert "starts the analyst" in done.out


async def test_reject_retry_and_cancel_move_the_task(conveyor: Conveyor, decider: Decider, facts: Facts) -> None:
    await ask_for_approval(decider, facts)
    async with decider.awake():
        rejected = await conveyor("reject", "SHOP-1", "--reason", "too vague")
        retried = await conveyor("retry", "SHOP-1")
        cancelled = await conveyor("cancel", "SHOP-1", "--reason", "not wanted")
    assert "too vague" in rejected.out
    assert rejected.code == 0
    assert "a run is under way" in retried.out
    assert cancelled.code == 0
    assert cancelled.out.startswith("SHOP-1: cancelled")


async def test_without_an_engine_the_word_is_kept(conveyor: Conveyor, decider: Decider, bus: Bus) -> None:
    done = await conveyor("cancel", "SHOP-1", "--no-wait")
    assert done.code == 0, done.err
    assert "stored as event 2" in done.out
    assert len(await EventLog(bus).history("shop", "SHOP-1")) == 2


async def test_an_unknown_task_has_its_own_code(conveyor: Conveyor, decider: Decider) -> None:
    for command in (("task", "show"), ("approve",), ("logs",)):
        done = await conveyor(*command, "SHOP-99")
        assert done.code == 3, done.err
        assert "there is no task SHOP-99" in done.err


async def test_logs_print_what_each_run_printed(conveyor: Conveyor, decider: Decider, bus: Bus) -> None:
    for run, text in (("shop-SHOP-1-r1", b"one\n"), ("shop-SHOP-1-r1", b"two\n"), ("shop-SHOP-1-r5", b"three\n")):
        await wire.publish(bus, subjects.log("shop", "SHOP-1", run), text, {})
    everything = await conveyor("logs", "SHOP-1")
    assert everything.out.count("---") == 2
    assert "one\ntwo\n" in everything.out
    only = await conveyor("logs", "SHOP-1", "--run", "shop-SHOP-1-r5")
    assert only.out == "three\n"
    chunks = [msgspec.json.decode(line) for line in (await conveyor("logs", "SHOP-1", "--json")).out.splitlines()]
    assert [chunk["text"] for chunk in chunks] == ["one\n", "two\n", "three\n"]
    assert (await conveyor("logs", "SHOP-1", "--run", "none")).code == 1


async def test_a_dead_letter_is_listed_and_replayed(conveyor: Conveyor, bus: Bus) -> None:
    lost = Delivery(
        subject="event.shop.SHOP-1.mystery", body=b"{}", seq=7, delivered=3, at=SYSTEM_CLOCK.now(), stream="EVENTS"
    )
    await bury(bus, lost, "it has no type")
    (letter,) = (await conveyor("dead", "list", "--json")).json
    assert letter["error"] == "it has no type"
    table = await conveyor("dead", "list")
    assert "it has no type" in table.out
    replayed = await conveyor("dead", "replay", str(letter["seq"]))
    assert replayed.code == 0, replayed.err
    assert (await conveyor("dead", "list")).out == "There is none.\n"
    again = await conveyor("dead", "replay", str(letter["seq"]))
    assert again.code == 1
    assert "there is no dead letter" in again.err
