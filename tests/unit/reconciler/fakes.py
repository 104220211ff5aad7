"""Whom a reconciler asks, made up: they show what they were given, and count what they are asked."""

from collections.abc import AsyncIterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from conveyor.contracts.errors import TransientError
from conveyor.contracts.events import AnyEvent
from conveyor.contracts.observed import (
    CiState,
    CiStatus,
    PullRequest,
    Review,
    TrackerComment,
    TrackerIssue,
)
from conveyor.contracts.project import Project
from conveyor.contracts.task import Task
from conveyor.reconciler.handlers import World
from tests.unit.reconciler.worlds import HOUR, LONG_AGO, NOW, STATES


class Clock:
    """Two minutes pass from pass to pass."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, _seconds: float) -> None:
        return


class Tracker:
    """Shows issues that all agree with their tasks, and counts what it is asked."""

    def __init__(self, issues: list[TrackerIssue]) -> None:
        self.issues = issues
        self.lists = 0
        self.looks = 0

    async def me(self) -> str:
        return "bot"

    async def states(self, _project_id: str) -> Any:
        return STATES

    async def own_state(self, _project_id: str, key: str) -> Any:
        return next((state for state in STATES if state.name.casefold() == key.replace("_", " ")), None)

    async def changed_issues(self, _project_id: str, since: datetime) -> AsyncIterator[TrackerIssue]:
        self.lists += 1
        for issue in self.issues:
            if issue.updated_at >= since:
                yield issue

    async def last_move(self, _project_id: str, _issue_id: str) -> None:
        self.looks += 1

    async def comments(self, _project_id: str, issue_id: str) -> tuple[TrackerComment, ...]:
        self.looks += 1
        return (TrackerComment(comment_id=issue_id, actor_id="ada", text=":approved:", at=LONG_AGO),)

    async def relations(self, _project_id: str, _issue_id: str) -> tuple[str, ...]:
        self.looks += 1
        return ()

    async def issue(self, _project_id: str, issue_id: str) -> TrackerIssue | None:
        self.looks += 1
        return next((issue for issue in self.issues if issue.issue_id == issue_id), None)


class Forge:
    """Shows every task what it knows already."""

    async def me(self) -> str:
        return "conveyor"

    async def branch_sha(self, _repo: str, _branch: str) -> str:
        return "aaa"

    async def ci_status(self, _repo: str, _sha: str, _required: tuple[str, ...]) -> CiStatus:
        return CiStatus(state=CiState.PENDING)

    async def pull_request(self, _repo: str, number: int) -> PullRequest:
        return PullRequest(number=number, is_open=True, merged=False, head_branch="b", head_sha="aaa")

    async def branches(self, _repo: str) -> tuple[str, ...]:
        return ("main", "feature/SHOP-1-a-task")

    async def find_pull_request(self, _repo: str, _branch: str, _base: str) -> None:
        return None

    async def reviews(self, _repo: str, _number: int) -> tuple[Review, ...]:
        return (Review(reviewer="ada", verdict="commented", commit_id="aaa"),)


class Bus:
    """Tasks, notes, and a log of events that wants none."""

    def __init__(self, tasks: list[Task]) -> None:
        self.stored: list[Any] = []
        self.wholes = 0
        """How often all tasks were read."""
        for task in tasks:
            self.store(task)
        self.noted: dict[str, bytes] = {}

    async def all(self, _project: str | None = None) -> Any:
        self.wholes += 1
        return self.stored

    async def since(self, seq: int) -> Any:
        return [one for one in self.stored if one.seq > seq]

    def store(self, task: Task) -> None:
        self.stored.append(SimpleNamespace(record=SimpleNamespace(task=task), seq=len(self.stored) + 1))

    async def history(self, _project: str, _key: str) -> Any:
        raise AssertionError("nothing was published, so nothing is waited for")

    async def publish(self, event: Any) -> Any:
        raise AssertionError(f"published {event}")

    async def get(self, key: str) -> Any:
        return SimpleNamespace(value=self.noted[key]) if key in self.noted else None

    async def put(self, key: str, value: bytes) -> None:
        self.noted[key] = value


class Log(Bus):
    """Stores events once, as the stream does; may lose its answers."""

    def __init__(self, tasks: list[Task]) -> None:
        super().__init__(tasks)
        self.published: list[AnyEvent] = []
        self.is_deaf = False

    async def publish(self, event: AnyEvent) -> Any:
        is_known = any(one.event_id == event.event_id for one in self.published)
        self.published += [] if is_known else [event]
        if self.is_deaf:
            raise TransientError("no answer came")
        return SimpleNamespace(duplicate=is_known)

    async def history(self, _project: str, key: str) -> Any:
        """Every event moved its task."""
        return [
            SimpleNamespace(record=SimpleNamespace(event=one, task=self.stored[-1].record.task))
            for one in self.published
            if one.key == key
        ]


async def nobody(text: str, key: str) -> None:
    pytest.fail(f"{key}: {text}")  # no Exception: the isolation of what fails would take it in


def lost(number: int, state_id: str = "To Analyse", at: datetime = NOW - HOUR) -> TrackerIssue:
    """An issue that was created in the start status an hour ago, of which nobody was told."""
    return TrackerIssue(
        issue_id=f"lost-{number}",
        key=f"SHOP-{number}",
        title="Sell tea",
        state_id=state_id,
        description="",
        updated_at=at,
        created_at=at,
    )


def world_of(project: Project, issues: list[TrackerIssue], bus: Bus, **others: Any) -> World:
    """A world of one project; anybody in it may be somebody else."""
    usual = {
        "projects": (project,),
        "tracker": Tracker(issues),
        "forge": Forge(),
        "events": bus,
        "tasks": bus,
        "notes": bus,
        "clock": Clock(),
        "messengers": (nobody,),
    }
    return World(**usual | others)
