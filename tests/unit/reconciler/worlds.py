"""A made-up world in which tracker, forge and tasks agree: tasks of every kind there is, each with its issue."""

from datetime import UTC, datetime, timedelta
from typing import Any

from conveyor.contracts.commands import GateCause
from conveyor.contracts.events import GateState
from conveyor.contracts.observed import TrackerIssue, TrackerState
from conveyor.contracts.task import GateWatch, Task, Waiting

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
LONG_AGO = NOW - timedelta(days=2)
STATES = tuple(
    TrackerState(state_id=name, name=name, group=group)
    for name, group in (
        ("Todo", "unstarted"),
        ("To Analyse", "unstarted"),
        ("In Progress", "started"),
        ("Approved", "started"),
        ("Rejected", "started"),
        ("Blocked", "unstarted"),
        ("Needs Input", "unstarted"),
        ("Done", "completed"),
        ("Cancelled", "cancelled"),
    )
)
_GATE = {"gate_id": "g", "cause": GateCause.AGENT, "sha": "aaa", "asked_at": LONG_AGO}
_FORGE = {"head": "aaa", "pull_request": 4}
KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("In Progress", {"waiting": Waiting.PERSON}),
    ("Approved", {"waiting": Waiting.PERSON}),
    ("Needs Input", {"waiting": Waiting.ANSWER}),
    ("In Progress", {"stage": "development", "waiting": Waiting.RUN}),
    ("In Progress", {"stage": "development", "waiting": Waiting.FACTS, **_FORGE, "gate": "ci_green"}),
    ("In Progress", {"stage": "review", "waiting": Waiting.FACTS, **_FORGE, "gate": "review_approved"}),
    ("In Progress", {"stage": "testing", "waiting": Waiting.FACTS, **_FORGE, "gate": "branch_mergeable"}),
    ("Blocked", {"stage": "testing", "waiting": Waiting.PERSON, **_FORGE, "escalation": "three rollbacks"}),
    (
        "Todo",
        {
            "stage": "created",
            "waiting": Waiting.DEPENDENCY,
            "depends_on": ("SHOP-1",),
            "open_dependencies": ("SHOP-1",),
        },
    ),
    ("Done", {"stage": "done", "waiting": Waiting.NOTHING, "ended_at": NOW - timedelta(days=1)}),
    ("Cancelled", {"stage": "cancelled", "waiting": Waiting.NOTHING, "ended_at": NOW - timedelta(days=1)}),
    ("Approved", {"stage": "done", "waiting": Waiting.NOTHING, "ended_at": NOW - timedelta(days=1)}),
)


def in_sync(count: int) -> tuple[list[Task], list[TrackerIssue]]:
    """So many tasks of all kinds, and their issues, untouched for a day."""
    tasks, issues = [], []
    for number in range(1, count + 1):
        state, fields = KINDS[(number - 1) % len(KINDS)]
        tasks.append(_task(number, dict(fields)))
        issues.append(_issue(number, state, fields.get("depends_on", ())))
    return tasks, issues


def _task(number: int, fields: dict[str, Any]) -> Task:
    if check := fields.pop("gate", ""):
        fields["gate"] = GateWatch(**_GATE, state=GateState.PENDING, check=check)
    usual = {
        "project": "shop",
        "key": f"SHOP-{number}",
        "issue_id": f"i{number}",
        "title": "A task",
        "stage": "analysis",
        "created_at": LONG_AGO,
        "entered_at": NOW - timedelta(days=1),
        "since": NOW - timedelta(days=1),
        "branch": f"feature/SHOP-{number}-a-task",
    }
    return Task(**usual | fields)


def _issue(number: int, state_id: str, depends_on: tuple[str, ...]) -> TrackerIssue:
    return TrackerIssue(
        issue_id=f"i{number}",
        key=f"SHOP-{number}",
        title="A task",
        state_id=state_id,
        description="".join(f"Depends-on: {key}" for key in depends_on),
        updated_at=NOW - timedelta(days=1),
        created_at=LONG_AGO,
    )
