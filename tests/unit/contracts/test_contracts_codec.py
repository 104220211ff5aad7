"""Messages to bytes and back, and what a message that cannot be read is told."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect as shapes

from conveyor.contracts import codec
from conveyor.contracts.errors import MessageError, PermanentError
from conveyor.contracts.events import AnyEvent, Nudged, Origin
from conveyor.contracts.transition import TaskRecord

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
NUDGE = Nudged(
    event_id="e1",
    project="shop",
    key="SHOP-12",
    at=AT,
    received_at=AT,
    source="engine",
    origin=Origin.RECONCILER,
    trace_id="t1",
    gate_id="g1",
    reason="CI spoke",
)

PLAIN: dict[type[shapes.Type], st.SearchStrategy[Any]] = {
    shapes.StrType: st.text(st.characters(codec="utf-8"), max_size=20),
    shapes.IntType: st.integers(-(2**63), 2**63 - 1),
    shapes.FloatType: st.floats(allow_nan=False, allow_infinity=False),
    shapes.BoolType: st.booleans(),
    shapes.NoneType: st.none(),
    shapes.DateTimeType: st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 # with UTC
}


def values(shape: shapes.Type) -> st.SearchStrategy[Any]:
    """Any value that the type allows."""
    match shape:
        case shapes.StructType():
            parts = {part.name: values(part.type) for part in shape.fields if part.name != "v"}
            return st.builds(shape.cls, **parts)
        case shapes.UnionType():
            return st.one_of([values(one) for one in shape.types])
        case shapes.VarTupleType():
            return st.lists(values(shape.item_type), max_size=3).map(tuple)
        case shapes.DictType():
            return st.dictionaries(values(shape.key_type), values(shape.value_type), max_size=3)
        case shapes.EnumType():
            return st.sampled_from(list(shape.cls))
        case _:
            return PLAIN[type(shape)]


EVENTS = st.one_of([values(shapes.type_info(kind)) for kind in codec._EVENTS.values()])
COMMANDS = st.one_of([values(shapes.type_info(kind)) for kind in codec._COMMANDS.values()])
RECORDS = values(shapes.type_info(TaskRecord))


@given(EVENTS)
def test_an_event_survives_the_wire(event: AnyEvent) -> None:
    assert codec.decode_event(codec.encode(event)) == event


@given(COMMANDS)
def test_a_command_survives_the_wire(command: Any) -> None:
    assert codec.decode_command(codec.encode(command)) == command


@given(RECORDS)
def test_a_task_record_survives_the_wire(record: TaskRecord) -> None:
    assert codec.decode_record(codec.encode(record)) == record


@given(st.one_of(EVENTS, COMMANDS, RECORDS))
def test_every_message_says_its_type_and_version(message: Any) -> None:
    body = json.loads(codec.encode(message))
    assert body["type"] == type(message).__name__
    assert body["v"] == codec.current_version(body["type"])


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_bytes_at_all_do_more_than_raise_a_message_error(body: bytes) -> None:
    for decode in (codec.decode_event, codec.decode_command, codec.decode_record):
        with pytest.raises(MessageError):
            decode(body)


def changed(**fields: Any) -> bytes:
    """The nudge with other fields; None takes a field away."""
    body = json.loads(codec.encode(NUDGE)) | fields
    return json.dumps({name: value for name, value in body.items() if value is not None}).encode()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "expected an event: a JSON object with a type and a version, but"),
        (b"{", "expected an event: a JSON object"),
        (b"[1]", "expected an event: a JSON object"),
        (b'"Nudged"', "expected an event: a JSON object"),
        (b"\xff\xfe", "expected an event: a JSON object"),
        (changed(type=None), "missing required field `type`"),
        (changed(type="Exploded"), "its type is 'Exploded'; known: BranchPushed, "),
        (changed(type="StartRun"), "expected an event, but its type is 'StartRun'"),
        (changed(type="TaskRecord"), "expected an event, but its type is 'TaskRecord'"),
        (changed(v=99), "Nudged has version 99, this service reads up to 1: upgrade this service"),
        (changed(v="one"), r"Expected `int`, got `str` - at `$.v`"),
        (changed(v=0), "Nudged version 0 is no longer readable: no step to version 1"),
        (changed(reason=None), "Nudged version 1 has the wrong shape: Object missing required field `reason`"),
        (changed(reason=7), "has the wrong shape: Expected `str`, got `int` - at `$.reason`"),
        (changed(origin="rumour"), "Invalid enum value 'rumour' - at `$.origin`"),
        (b'{"x": ' + b"[" * 100_000, "maximum recursion depth exceeded"),
        (changed(gate_id=0)[:-1] + b', "x": ' + b"[" * 100_000, "maximum recursion depth exceeded"),
        (changed(at="2026-01-05T09:00:00"), "Expected `datetime` with a timezone component - at `$.at`"),
        (changed(at="yesterday"), "Invalid RFC3339 encoded datetime - at `$.at`"),
    ],
)
def test_an_unreadable_message_is_told_what_is_wrong_with_it(body: bytes, words: str) -> None:
    with pytest.raises(MessageError) as refused:
        codec.decode_event(body)
    assert words in str(refused.value)
    assert isinstance(refused.value, PermanentError), "no retry makes it readable"


def test_an_event_is_no_command_and_no_record() -> None:
    with pytest.raises(MessageError, match="expected a command, but its type is 'Nudged'"):
        codec.decode_command(codec.encode(NUDGE))
    with pytest.raises(MessageError, match="expected a task record, but its type is 'Nudged'; known: TaskRecord"):
        codec.decode_record(codec.encode(NUDGE))


def test_a_message_without_a_version_is_of_the_first() -> None:
    assert codec.decode_event(changed(v=None)) == NUDGE


def test_an_old_version_is_brought_up_to_date_step_by_step() -> None:
    """Version 0 said `why`, as the test's own step has it; the step is taken out again afterwards."""

    def rename(body: dict[str, Any]) -> dict[str, Any]:
        return {**{name: value for name, value in body.items() if name != "why"}, "reason": body["why"]}

    codec.UPCASTS["Nudged", 0] = rename
    try:
        assert codec.decode_event(changed(v=0, reason=None, why="CI spoke")) == NUDGE
        with pytest.raises(MessageError, match="Nudged version 0 has the wrong shape"):
            codec.decode_event(changed(v=0, reason=None, why=7))
    finally:
        del codec.UPCASTS["Nudged", 0]


def test_every_step_between_versions_belongs_to_a_type_that_is_known() -> None:
    assert {name for name, _ in codec.UPCASTS} <= set(codec.TYPES)
    assert all(version < codec.current_version(name) for name, version in codec.UPCASTS)


def test_a_time_with_an_offset_is_the_same_moment() -> None:
    eastern = AT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    event = codec.decode_event(codec.encode(msgspec.structs.replace(NUDGE, at=eastern)))
    assert event.at == AT


def test_headers_name_task_trace_and_type() -> None:
    """Whoever looks with the nats command line sees what a message is about without reading its body (OP-6)."""
    assert codec.headers(NUDGE) == {
        "Conveyor-Task": "shop/SHOP-12",
        "Conveyor-Trace": "t1",
        "Conveyor-Type": "Nudged",
    }


@given(RECORDS)
def test_a_records_headers_name_its_task_and_the_trace_of_its_cause(record: TaskRecord) -> None:
    assert codec.headers(record) == {
        "Conveyor-Task": f"{record.task.project}/{record.task.key}",
        "Conveyor-Trace": record.event.trace_id,
        "Conveyor-Type": "TaskRecord",
    }


@pytest.mark.parametrize("name", sorted(codec.TYPES))
def test_a_message_cannot_be_changed_after_it_was_said(name: str) -> None:
    assert codec.TYPES[name].__struct_config__.frozen
