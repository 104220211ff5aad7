"""What the reconciler tells a task that waits on the forge."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from conveyor.contracts.commands import GateCause
from conveyor.contracts.events import (
    AnyEvent,
    BranchPushed,
    CommitStatusChanged,
    GateState,
    PullRequestAction,
    PullRequestChanged,
    ReviewSubmitted,
)
from conveyor.contracts.observed import CiState, CiStatus, PullRequest, Review
from conveyor.contracts.project import Project
from conveyor.contracts.task import GateWatch, Task, Waiting
from conveyor.reconciler.core.forge import ForgeView, Questions, missed_on_forge, questions
from conveyor.reconciler.core.window import EVER, Mark, Rhythm, due_for_all, window

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PENDING = GateWatch(gate_id="g1", cause=GateCause.AGENT, sha="aaa", state=GateState.PENDING, check="ci_green")
Make = Callable[..., Task]


def view(project: Project, task: Task, **shown: object) -> ForgeView:
    return ForgeView(project=project, task=task, now=NOW, **{"head": task.head, **shown})  # type: ignore[arg-type] # made up


@pytest.mark.behaviour("RC-3")
@pytest.mark.parametrize("state", [CiState.GREEN, CiState.RED])
def test_a_ci_result_that_the_gate_has_not_seen_is_published(state: CiState, project: Project, make_task: Make) -> None:
    task = make_task(waiting=Waiting.FACTS, head="aaa", gate=PENDING)
    (event,) = missed_on_forge(view(project, task, ci=CiStatus(state=state)))
    assert isinstance(event, CommitStatusChanged)
    assert (event.sha, event.state) == ("aaa", state)


@pytest.mark.behaviour("RC-3")
def test_a_push_and_a_merge_that_were_missed_are_published(project: Project, make_task: Make) -> None:
    task = make_task(waiting=Waiting.FACTS, head="aaa", gate=PENDING, pull_request=4)
    (pushed,) = missed_on_forge(view(project, task, head="bbb", ci=CiStatus(state=CiState.GREEN)))
    assert isinstance(pushed, BranchPushed)
    assert (pushed.before, pushed.sha) == ("aaa", "bbb")
    pull = PullRequest(number=4, is_open=False, merged=True, head_branch=task.branch, head_sha="bbb", merge_sha="ccc")
    (merged,) = missed_on_forge(view(project, task, head="bbb", pull=pull))
    assert isinstance(merged, PullRequestChanged)
    assert merged.merge_sha == "ccc"


@pytest.mark.behaviour("RC-6")
@pytest.mark.parametrize("state", [CiState.NONE, CiState.PENDING])
def test_a_ci_that_has_not_spoken_is_no_news(state: CiState, project: Project, make_task: Make) -> None:
    task = make_task(waiting=Waiting.FACTS, head="aaa", gate=PENDING)
    assert missed_on_forge(view(project, task, ci=CiStatus(state=state))) == ()


@pytest.mark.behaviour("RC-3")
def test_a_red_ci_that_turned_green_at_the_same_commit_is_news(project: Project, make_task: Make) -> None:
    rejected = GateWatch(gate_id="g1", cause=GateCause.PERSON, sha="aaa", state=GateState.REJECTED, check="ci_green")
    task = make_task(waiting=Waiting.FACTS, head="aaa", gate=rejected)
    assert missed_on_forge(view(project, task, ci=CiStatus(state=CiState.RED))) == ()
    assert len(missed_on_forge(view(project, task, ci=CiStatus(state=CiState.GREEN)))) == 1


def review(verdict: str, **fields: object) -> Review:
    return Review(**{"reviewer": "ada", "verdict": verdict, "commit_id": "aaa", "text": "hm", **fields})  # type: ignore[arg-type] # made up


REVIEW_WAITS = GateWatch(
    gate_id="g1", cause=GateCause.AGENT, sha="aaa", state=GateState.PENDING, check="review_approved"
)


def reviewed(project: Project, task: Task, *reviews: Review) -> tuple[AnyEvent, ...]:
    return missed_on_forge(view(project, task, reviews=reviews))


@pytest.mark.behaviour("RC-3")
def test_a_persons_last_word_on_the_present_commit_is_published_once(project: Project, make_task: Make) -> None:
    task = make_task(stage="review", waiting=Waiting.FACTS, head="aaa", gate=REVIEW_WAITS, pull_request=4)
    (event,) = reviewed(project, task, review("rejected"), review("approved"))
    assert isinstance(event, ReviewSubmitted)
    assert (event.review, event.head_sha, event.actor and event.actor.actor_id) == ("approved", "aaa", "ada")
    known = make_task(
        waiting=Waiting.FACTS, head="aaa", gate=REVIEW_WAITS, pull_request=4, facts={"review/ada": "approved"}
    )
    assert reviewed(project, known, review("approved")) == ()
    for other in (
        review("approved", dismissed=True),
        review("approved", commit_id="old"),
        review("commented"),
    ):
        assert reviewed(project, task, other) == ()


@pytest.mark.behaviour("RC-3")
def test_asked_for_changes_are_told_while_somebody_works_approvals_only_where_a_gate_waits(
    project: Project, make_task: Make
) -> None:
    works = make_task(stage="review", waiting=Waiting.RUN, head="aaa", pull_request=4)
    assert [type(event) for event in reviewed(project, works, review("rejected"))] == [ReviewSubmitted]
    assert reviewed(project, works, review("approved")) == ()


def pull(**fields: object) -> PullRequest:
    values = {"number": 4, "is_open": True, "merged": False, "head_branch": "b", "head_sha": "aaa"}
    return PullRequest(**values | fields)  # type: ignore[arg-type] # made up


@pytest.mark.behaviour("RC-3")
def test_a_pull_request_closed_since_a_person_last_acted_is_told(project: Project, make_task: Make) -> None:
    """One that was closed before is what that person knew of: an operator's retry is not undone by a level."""
    closed = pull(is_open=False, closed_at=NOW - timedelta(minutes=30))
    task = make_task(waiting=Waiting.FACTS, head="aaa", pull_request=4)
    (event,) = missed_on_forge(view(project, task, pull=closed))
    assert isinstance(event, PullRequestChanged)
    assert (event.action, event.at) == (PullRequestAction.CLOSED, closed.closed_at)
    retried = make_task(waiting=Waiting.FACTS, head="aaa", pull_request=4, last_human_at=NOW - timedelta(minutes=20))
    assert missed_on_forge(view(project, retried, pull=closed)) == ()


@pytest.mark.behaviour("RC-3")
def test_a_pull_request_that_the_task_does_not_know_is_told(project: Project, make_task: Make) -> None:
    task = make_task(waiting=Waiting.FACTS, head="aaa")
    (event,) = missed_on_forge(view(project, task, found=pull()))
    assert isinstance(event, PullRequestChanged)
    assert (event.action, event.number) == (PullRequestAction.OPENED, 4)


@pytest.mark.behaviour("RC-9")
def test_what_waits_for_nothing_on_the_forge_costs_no_call(make_task: Make) -> None:
    waits = make_task(waiting=Waiting.FACTS)
    assert questions(waits, NOW, 600).anything
    for task in (
        make_task(waiting=Waiting.FACTS, since=NOW),
        make_task(waiting=Waiting.PERSON),
        make_task(waiting=Waiting.RUN, head="aaa"),
        make_task(stage="done", waiting=Waiting.NOTHING, pull_request=4, head="aaa"),
        make_task(stage="deploy", waiting=Waiting.RUN, pull_request=4, head="aaa", merge_sha="mmm"),
    ):
        assert questions(task, NOW, 600) == Questions()


@pytest.mark.behaviour("RC-3")
def test_a_merge_by_hand_is_looked_for_whatever_the_task_does(make_task: Make) -> None:
    for fields in ({"waiting": Waiting.RUN}, {"waiting": Waiting.PERSON, "escalation": "three rollbacks"}):
        assert questions(make_task(pull_request=4, head="aaa", **fields), NOW, 600).pull


RHYTHM = Rhythm(interval_s=120, full_every_s=3600, reach_s=660)


def test_a_pass_reads_what_was_too_young_last_time_again() -> None:
    first = window(None, NOW, RHYTHM, is_full=False)
    assert (first.since, first.is_full, first.changed_since) == (EVER, True, None)
    later = NOW + timedelta(minutes=2)
    second = window(first.after, later, RHYTHM, is_full=False)
    assert second.since == NOW - timedelta(seconds=660)
    assert second.after == Mark(looked_at=later, full_at=NOW)
    whole = window(second.after, NOW + timedelta(hours=1), RHYTHM, is_full=True)
    assert (whole.since, whole.changed_since) == (EVER, later - timedelta(seconds=660))


@pytest.mark.behaviour("RC-9")
def test_whole_lists_of_many_projects_are_spread_over_passes() -> None:
    """Fifty projects whose hour is up share thirty passes an hour: two of them in each."""
    marks = {f"p{number:02}": Mark(looked_at=NOW, full_at=NOW - timedelta(minutes=number)) for number in range(50, 110)}
    assert due_for_all(marks, NOW, RHYTHM) == {"p109", "p108"}
    assert due_for_all({**marks, "new": None}, NOW, RHYTHM) >= {"new"}
    assert due_for_all({"fresh": Mark(looked_at=NOW, full_at=NOW)}, NOW, RHYTHM) == frozenset()
