"""Made-up tasks and issues for the reconciler's core."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from conveyor.contracts.observed import StateChange, TrackerIssue, TrackerState
from conveyor.contracts.project import Project
from conveyor.contracts.task import Task, Waiting
from conveyor.reconciler.core.look import Pass, Sighting

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
STATES = tuple(
    TrackerState(state_id=name.lower().replace(" ", "-"), name=name, group=group)
    for name, group in (
        ("Todo", "unstarted"),
        ("To Analyse", "unstarted"),
        ("In Progress", "started"),
        ("Approved", "started"),
        ("Rejected", "cancelled"),
        ("Done", "completed"),
        ("Cancelled", "cancelled"),
    )
)


def minutes_ago(count: float) -> datetime:
    return NOW - timedelta(minutes=count)


@pytest.fixture
def project() -> Project:
    return Project(name="shop", tracker_project_id="p1", identifier="SHOP", repository="acme/shop")


@pytest.fixture
def make_task() -> Callable[..., Task]:
    """A task that waits for a person since an hour ago; anything may be set."""

    def make(**fields: Any) -> Task:
        values: dict[str, Any] = {
            "project": "shop",
            "key": "SHOP-1",
            "issue_id": "i1",
            "title": "A task",
            "stage": "analysis",
            "created_at": minutes_ago(120),
            "entered_at": minutes_ago(60),
            "since": minutes_ago(60),
            "branch": "feature/SHOP-1-a-task",
            "waiting": Waiting.PERSON,
        }
        return Task(**values | fields)

    return make


@pytest.fixture
def make_pass(project: Project) -> Callable[..., Pass]:
    """What one pass knows; tasks as given."""

    def make(*tasks: Task, states: tuple[TrackerState, ...] = STATES) -> Pass:
        return Pass(
            project=project,
            states=states,
            spoken={"approved": "approved", "rejected": "rejected"},
            tasks={task.key: task for task in tasks},
            own_user_id="bot",
            now=NOW,
            grace_s=600,
        )

    return make


@pytest.fixture
def make_sighting() -> Callable[..., Sighting]:
    """Issue SHOP-1 in a state, moved there by a person some minutes ago; `moved_min` None: created there."""

    def make(state_id: str, *, moved_min: float | None = 30, actor: str = "ada", updated_min: float = 30) -> Sighting:
        issue = TrackerIssue(
            issue_id="i1",
            key="SHOP-1",
            title="A task",
            state_id=state_id,
            description="Depends-on: SHOP-7",
            updated_at=minutes_ago(updated_min),
            created_at=minutes_ago(100),
        )
        if moved_min is None:
            return Sighting(issue=issue, move=None)
        move = StateChange(activity_id="a1", state_id=state_id, actor_id=actor, at=minutes_ago(moved_min))
        return Sighting(issue=issue, move=move)

    return make
