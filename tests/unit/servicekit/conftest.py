"""Messages for the bus's tests, as short as the contracts allow."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from conveyor.contracts import ids
from conveyor.contracts.commands import Notify
from conveyor.contracts.events import IssueChanged, Origin
from conveyor.contracts.task import Task
from conveyor.contracts.transition import TaskRecord

AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def make_event(key: str = "SHOP-1", number: int = 1) -> IssueChanged:
    at = AT + timedelta(seconds=number)
    return IssueChanged(
        event_id=ids.event_id("plane", key, "name", str(number), at),
        project="shop",
        key=key,
        at=at,
        received_at=at,
        source="plane",
        origin=Origin.WEBHOOK,
        trace_id="trace-1",
        issue_id=f"issue-{key}",
        title=f"title {number}",
    )


def make_record(key: str = "SHOP-1", revision: int = 1) -> TaskRecord:
    task = Task(
        project="shop",
        key=key,
        issue_id=f"issue-{key}",
        title="t",
        stage="analysis",
        created_at=AT,
        entered_at=AT,
        branch=f"feature/{key}-t",
        revision=revision,
    )
    return TaskRecord(task=task, event=make_event(key, revision))


def make_command(key: str = "SHOP-1", position: int = 0) -> Notify:
    return Notify(
        command_id=ids.command_id("shop", key, 1, position),
        project="shop",
        key=key,
        revision=1,
        trace_id="trace-1",
        issued_at=AT,
        issue_id=f"issue-{key}",
        text=f"text {position}",
    )


@pytest.fixture
def event() -> Callable[..., IssueChanged]:
    return make_event


@pytest.fixture
def record() -> Callable[..., TaskRecord]:
    return make_record


@pytest.fixture
def command() -> Callable[..., Notify]:
    return make_command
