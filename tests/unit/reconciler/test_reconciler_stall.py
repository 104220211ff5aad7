"""Who is nudged, who never is, and in which order that is found out (RC-4, RC-5)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from conveyor.contracts.commands import GateCause
from conveyor.contracts.events import GateState
from conveyor.contracts.observed import PullRequest, Review, TrackerIssue, TrackerState
from conveyor.contracts.project import Project
from conveyor.contracts.task import GateWatch, Task, Waiting
from conveyor.reconciler.core.forge import ForgeView
from conveyor.reconciler.core.stall import Guard, guarded, may_stall, nudge, stalled

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
Make = Callable[..., Task]
STATES = tuple(
    TrackerState(state_id=name, name=name, group=group)
    for name, group in (("In Progress", "started"), ("Blocked", "unstarted"), ("Done", "completed"))
)


def gate(check: str = "branch_mergeable", state: GateState | None = GateState.REJECTED, **fields: Any) -> GateWatch:
    return GateWatch(**{"gate_id": "g1", "cause": GateCause.PERSON, "sha": "aaa"} | fields, check=check, state=state)


def seen(project: Project, task: Task, **shown: Any) -> ForgeView:
    return ForgeView(project=project, task=task, now=NOW, **{"head": task.head, **shown})


@pytest.fixture
def stands(make_task: Make) -> Make:
    """A task in testing whose gate said an hour ago that its branch cannot be merged."""

    def make(**fields: Any) -> Task:
        usual = {"stage": "testing", "waiting": Waiting.FACTS, "head": "aaa", "pull_request": 4, "gate": gate()}
        return make_task(**usual | fields)

    return make


def mergeable(*, is_mergeable: bool = True) -> PullRequest:
    return PullRequest(number=4, is_open=True, merged=False, head_branch="b", head_sha="aaa", mergeable=is_mergeable)


@pytest.mark.behaviour("RC-4", "RC-5")
def test_only_who_stands_still_before_a_gate_is_looked_at(stands: Make) -> None:
    assert may_stall(stands(), NOW, 600)
    assert may_stall(stands(waiting=Waiting.GATE), NOW, 600)
    for never in (
        stands(stage="done", waiting=Waiting.NOTHING),
        stands(escalation="three rollbacks", waiting=Waiting.PERSON),
        stands(escalation="three rollbacks"),
        stands(stage="analysis"),
        stands(waiting=Waiting.RUN),
        stands(waiting=Waiting.RETRY),
        stands(waiting=Waiting.DEPENDENCY),
        stands(waiting=Waiting.PERSON),
        stands(waiting=Waiting.ANSWER),
        stands(gate=None),
        stands(since=NOW - timedelta(minutes=5)),
    ):
        assert not may_stall(never, NOW, 600)


@pytest.mark.behaviour("RC-4")
def test_a_gate_that_would_say_the_same_again_is_left_alone(project: Project, stands: Make) -> None:
    for task, shown in (
        (stands(), {"pull": mergeable(is_mergeable=False)}),
        (stands(gate=gate("ci_green")), {}),
        (stands(gate=gate("tests_passed")), {"pull": mergeable()}),
        (stands(gate=gate("review_approved", GateState.PENDING)), {}),
        (
            stands(gate=gate("review_approved")),
            {"reviews": (Review(reviewer="ada", verdict="rejected", commit_id="aaa"),)},
        ),
    ):
        assert stalled(seen(project, task, **shown)) is None


@pytest.mark.behaviour("RC-4")
def test_a_gate_is_looked_at_again_when_what_it_reads_differs(project: Project, stands: Make) -> None:
    no_ci = structs.replace(project, ci=False)
    dismissed = Review(reviewer="ada", verdict="rejected", commit_id="aaa", dismissed=True)
    for view, reason in (
        (seen(project, stands(), pull=mergeable()), "the pull request can be merged by now"),
        (seen(no_ci, stands(gate=gate("ci_green"))), "the project needs no CI any more"),
        (seen(project, stands(gate=gate("review_approved")), reviews=(dismissed,)), "nobody asks for changes any more"),
        (seen(project, stands(gate=gate("tests_passed", sha="old"))), "it looked at an older commit"),
        (seen(project, stands(waiting=Waiting.GATE, gate=gate("", None))), "its evaluation never came back"),
    ):
        found = stalled(view)
        assert found is not None
        assert (found.gate_id, found.reason) == ("g1", reason)
        assert nudge(view.task, found, NOW).event_id == nudge(view.task, found, NOW + timedelta(hours=1)).event_id


@pytest.mark.behaviour("RC-4")
def test_the_same_sight_before_another_evaluation_is_no_reason_for_another_nudge(
    project: Project, stands: Make
) -> None:
    """Else a gate and the reconciler that read the forge differently would nudge each other for ever."""
    first = stalled(seen(project, stands(), pull=mergeable()))
    again = stalled(seen(project, stands(gate=gate(gate_id="g2")), pull=mergeable()))
    moved = stalled(seen(project, stands(head="bbb", gate=gate(gate_id="g3", sha="bbb")), pull=mergeable()))
    assert first is not None
    assert again is not None
    assert moved is not None
    assert first.fingerprint == again.fingerprint != moved.fingerprint


def issue(state: str, *, minutes: float = 30) -> TrackerIssue:
    at = NOW - timedelta(minutes=minutes)
    return TrackerIssue(
        issue_id="i1", key="SHOP-1", title="A task", state_id=state, description="", updated_at=at, created_at=at
    )


@pytest.mark.behaviour("RC-5")
@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        (issue("In Progress"), ""),
        (issue("Blocked"), "its status is blocked"),
        (issue("Done"), "the issue has ended"),
        (issue("In Progress", minutes=5), "somebody touched the issue a moment ago"),
        (issue("no such state"), "its status is unknown"),
        (None, "the issue is gone"),
    ],
)
def test_an_issue_that_waits_has_ended_or_cannot_be_known_is_left_alone(
    shown: TrackerIssue | None, reason: str
) -> None:
    assert guarded(Guard(issue=shown, states=STATES, own={"Blocked": "blocked"}), NOW, 600) == reason


@pytest.mark.behaviour("RC-5")
def test_a_status_that_only_stands_in_for_an_active_wait_guards_nothing() -> None:
    """Where Deploying is shown as In Progress, every task in progress would look like one being deployed."""
    own = {"Deploying": "deploying"}
    assert guarded(Guard(issue=issue("In Progress"), states=STATES, own=own), NOW, 600) == ""
    states = (*STATES, TrackerState(state_id="Deploying", name="Deploying", group="started"))
    assert guarded(Guard(issue=issue("Deploying"), states=states, own=own), NOW, 600) == "its status is deploying"
