"""What the reconciler tells a task that waits on the forge."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from conveyor.contracts.commands import GateCause
from conveyor.contracts.events import BranchPushed, CommitStatusChanged, GateState, PullRequestChanged
from conveyor.contracts.observed import CiState, CiStatus, PullRequest
from conveyor.contracts.project import Project
from conveyor.contracts.task import GateWatch, Task, Waiting
from conveyor.reconciler.core.forge import ForgeView, missed_on_forge, waits_on_forge
from conveyor.reconciler.core.window import EVER, Mark, window

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PENDING = GateWatch(gate_id="g1", cause=GateCause.AGENT, sha="aaa", state=GateState.PENDING, check="ci_green")
Make = Callable[..., Task]


def view(project: Project, task: Task, **shown: object) -> ForgeView:
    return ForgeView(project=project, task=task, now=NOW, **{"head": task.head, **shown})  # type: ignore[arg-type] # made up


@pytest.mark.behaviour("RC-3")
@pytest.mark.parametrize("state", [CiState.GREEN, CiState.RED])
def test_a_ci_result_that_the_gate_has_not_seen_is_published(state: CiState, project: Project, make_task: Make) -> None:
    task = make_task(waiting=Waiting.FACTS, head="aaa", gate=PENDING)
    event = missed_on_forge(view(project, task, ci=CiStatus(state=state)))
    assert isinstance(event, CommitStatusChanged)
    assert (event.sha, event.state) == ("aaa", state)


@pytest.mark.behaviour("RC-3")
def test_a_push_and_a_merge_that_were_missed_are_published(project: Project, make_task: Make) -> None:
    task = make_task(waiting=Waiting.FACTS, head="aaa", gate=PENDING, pull_request=4)
    pushed = missed_on_forge(view(project, task, head="bbb", ci=CiStatus(state=CiState.GREEN)))
    assert isinstance(pushed, BranchPushed)
    assert (pushed.before, pushed.sha) == ("aaa", "bbb")
    pull = PullRequest(number=4, is_open=False, merged=True, head_branch=task.branch, head_sha="bbb", merge_sha="ccc")
    merged = missed_on_forge(view(project, task, head="bbb", pull=pull))
    assert isinstance(merged, PullRequestChanged)
    assert merged.merge_sha == "ccc"


@pytest.mark.behaviour("RC-6")
@pytest.mark.parametrize("state", [CiState.NONE, CiState.PENDING])
def test_a_ci_that_has_not_spoken_is_no_news(state: CiState, project: Project, make_task: Make) -> None:
    task = make_task(waiting=Waiting.FACTS, head="aaa", gate=PENDING)
    assert missed_on_forge(view(project, task, ci=CiStatus(state=state))) is None


def test_only_tasks_that_wait_on_the_forge_for_long_cost_a_call(make_task: Make) -> None:
    waits = make_task(waiting=Waiting.FACTS)
    assert waits_on_forge(waits, NOW, 600)
    assert not waits_on_forge(make_task(waiting=Waiting.FACTS, since=NOW), NOW, 600)
    assert not waits_on_forge(make_task(waiting=Waiting.PERSON), NOW, 600)
    assert not waits_on_forge(make_task(waiting=Waiting.FACTS, escalation="look"), NOW, 600)


def test_a_pass_reads_what_was_too_young_last_time_again() -> None:
    first = window(None, NOW, reach_s=660, full_every_s=3600)
    assert first.since == EVER
    later = NOW + timedelta(minutes=2)
    second = window(first.after, later, reach_s=660, full_every_s=3600)
    assert second.since == NOW - timedelta(seconds=660)
    assert second.after == Mark(looked_at=later, full_at=NOW)
    assert window(second.after, NOW + timedelta(hours=1), reach_s=660, full_every_s=3600).since == EVER
