"""Subjects: what stands where, so that queues do not mix and twins meet."""

import fnmatch

import pytest

from conveyor.contracts import codec, subjects
from conveyor.contracts.commands import ArmTimer, Command, EvaluateGate, StartRun
from conveyor.contracts.events import IssueStarted
from conveyor.contracts.streams import BUCKETS, COMMANDS, DEAD, EVENTS, LOGS, STREAMS, TASKS, StreamSpec
from tests.contract.golden_messages import sample

COMMAND_TYPES = sorted(codec._COMMANDS)
EVENT_TYPES = sorted(codec._EVENTS)


def holds(stream: StreamSpec, subject: str) -> bool:
    """Whether a stream takes a subject; all of ours end in `>`."""
    return any(fnmatch.fnmatchcase(subject, pattern.removesuffix(">") + "?*") for pattern in stream.subjects)


def streams_of(subject: str) -> list[str]:
    return [stream.name for stream in STREAMS if holds(stream, subject)]


def test_an_event_is_addressed_by_task_and_kind() -> None:
    assert subjects.event(sample(IssueStarted)) == "event.shop.SHOP-12.issue_started"


def test_a_message_type_is_spelled_in_snake_case() -> None:
    assert subjects.kind(IssueStarted) == "issue_started"
    assert len({subjects.kind(kind) for kind in codec.TYPES.values()}) == len(codec.TYPES)


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_every_event_has_a_place_in_the_log_of_its_task(name: str) -> None:
    subject = subjects.event(sample(codec.TYPES[name]))
    assert streams_of(subject) == [EVENTS.name]
    assert subject.startswith(subjects.events_of("shop", "SHOP-12").removesuffix(">"))


@pytest.mark.parametrize("name", COMMAND_TYPES)
def test_every_command_has_a_subject_of_its_own(name: str) -> None:
    """The stream refuses the second command on a subject: that is what makes the relay's repetitions harmless."""
    command: Command = sample(codec.TYPES[name])
    subject = subjects.command(command)  # type: ignore[arg-type] # any of the union
    assert subject.endswith(f".{command.command_id}")
    assert streams_of(subject) == [EVENTS.name if name == "ArmTimer" else COMMANDS.name]


@pytest.mark.parametrize("name", COMMAND_TYPES)
def test_every_command_is_in_exactly_one_queue(name: str) -> None:
    command = sample(codec.TYPES[name])
    subject = subjects.command(command)
    queues = [
        subjects.gates(),
        *(subjects.effects_on(target) for target in subjects.EFFECT_TARGETS),
        subjects.runs_of("pool", "low"),
    ]
    inside = [queue for queue in queues if subject.startswith(queue.removesuffix(">"))]
    assert len(inside) == (0 if isinstance(command, ArmTimer) else 1)


def test_runs_queue_by_pool_and_priority() -> None:
    assert subjects.command(sample(StartRun)) == "command.run.pool.low.shop-SHOP-12-7-0"


def test_gates_and_timers_name_their_task() -> None:
    assert subjects.command(sample(EvaluateGate)) == "command.gate.shop.SHOP-12.shop-SHOP-12-7-0"
    assert subjects.command(sample(ArmTimer)) == "timer.shop.SHOP-12.shop-SHOP-12-7-0"


def test_what_is_not_a_message_of_a_queue_has_its_stream_too() -> None:
    assert streams_of(subjects.task("shop", "SHOP-12")) == [TASKS.name]
    assert streams_of(subjects.log("shop", "SHOP-12", "r1")) == [LOGS.name]
    assert streams_of(subjects.dead("EVENTS", "event.shop.SHOP-12.nudged")) == [DEAD.name]
    assert streams_of(subjects.run_control("r1")) == [], "questions to a runner are asked, not kept"


def test_no_two_streams_or_buckets_share_a_name() -> None:
    assert len({spec.name for spec in (*STREAMS, *BUCKETS)}) == len(STREAMS) + len(BUCKETS)


def test_the_duplicate_window_is_no_longer_than_the_stream_keeps_its_messages() -> None:
    """The server refuses a longer one."""
    assert all(not spec.max_age_s or spec.duplicate_window_s <= spec.max_age_s for spec in STREAMS)
