"""What the reconciler publishes again, and all that it leaves alone."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from conveyor.contracts import facts_ids
from conveyor.contracts.events import IssueClosed, IssueStarted, Origin, VerdictGiven, VerdictValue, Via
from conveyor.contracts.task import CANCELLED, DONE, Task, Waiting
from conveyor.reconciler.core.diff import diff
from conveyor.reconciler.core.look import Pass, Sighting

Make = Callable[..., Task]
MakePass = Callable[..., Pass]
MakeSighting = Callable[..., Sighting]
Case = tuple[str, dict[str, object], dict[str, object] | None]
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.mark.behaviour("RC-1", "RC-2")
def test_a_start_that_no_task_shows_is_published_again(make_pass: MakePass, make_sighting: MakeSighting) -> None:
    seen = make_sighting("to-analyse")
    (event,) = diff(make_pass(), [seen])
    assert isinstance(event, IssueStarted)
    assert (event.project, event.key, event.issue_id, event.depends_on) == ("shop", "SHOP-1", "i1", ("SHOP-7",))
    assert event.origin is Origin.RECONCILER
    assert seen.move is not None
    assert event.at == seen.move.at
    assert event.actor is not None
    assert event.actor.actor_id == "ada"
    assert diff(make_pass(), [seen])[0].event_id == event.event_id


@pytest.mark.behaviour("SE-5")
def test_an_issue_created_in_the_start_status_has_the_webhooks_name(
    make_pass: MakePass, make_sighting: MakeSighting
) -> None:
    seen = make_sighting("to-analyse", moved_min=None)
    (event,) = diff(make_pass(), [seen])
    assert event.event_id == facts_ids.issue_moved("i1", "to-analyse", seen.issue.created_at)
    assert event.actor is None


@pytest.mark.behaviour("SE-5")
def test_in_progress_starts_only_where_there_is_no_status_of_its_own(
    make_pass: MakePass, make_sighting: MakeSighting
) -> None:
    view = make_pass()
    assert diff(view, [make_sighting("in-progress")]) == ()
    fewer = tuple(state for state in view.states if state.name != "To Analyse")
    assert len(diff(make_pass(states=fewer), [make_sighting("in-progress")])) == 1


@pytest.mark.behaviour("RC-2")
@pytest.mark.parametrize("value", list(VerdictValue))
def test_a_verdict_the_waiting_task_has_not_heard_is_published_again(
    value: VerdictValue, make_pass: MakePass, make_task: Make, make_sighting: MakeSighting
) -> None:
    """Rejected lies in a closing group here: what people say to us by name wins over the group."""
    (event,) = diff(make_pass(make_task()), [make_sighting(str(value))])
    assert isinstance(event, VerdictGiven)
    assert (event.verdict, event.via, event.issue_id) == (value, Via.STATUS, "i1")


@pytest.mark.behaviour("RC-2")
def test_an_answer_by_status_resumes_a_task_that_waits_for_one(
    make_pass: MakePass, make_task: Make, make_sighting: MakeSighting
) -> None:
    waits = make_task(waiting=Waiting.ANSWER)
    assert len(diff(make_pass(waits), [make_sighting("to-analyse")])) == 1
    assert diff(make_pass(make_task(waiting=Waiting.RUN)), [make_sighting("to-analyse")]) == ()


@pytest.mark.behaviour("RC-2")
@pytest.mark.parametrize(
    "waits", [{"waiting": Waiting.FACTS}, {"waiting": Waiting.ANSWER}, {"escalation": "three rollbacks"}]
)
def test_a_missed_verdict_is_published_wherever_a_verdict_moves_the_task(
    waits: dict[str, object], make_pass: MakePass, make_task: Make, make_sighting: MakeSighting
) -> None:
    """Never nudging a blocked task is one thing, keeping a person's word from it another."""
    (event,) = diff(make_pass(make_task(**waits)), [make_sighting("approved")])
    assert isinstance(event, VerdictGiven)


@pytest.mark.behaviour("RC-2")
def test_a_cancelled_task_whose_issue_was_started_again_is_found(
    make_pass: MakePass, make_task: Make, make_sighting: MakeSighting
) -> None:
    cancelled = make_task(stage=CANCELLED, waiting=Waiting.NOTHING, ended_at=NOW - timedelta(hours=1))
    assert len(diff(make_pass(cancelled), [make_sighting("to-analyse")])) == 1


@pytest.mark.behaviour("SE-19")
def test_an_end_that_was_missed_is_published(make_pass: MakePass, make_task: Make, make_sighting: MakeSighting) -> None:
    (event,) = diff(make_pass(make_task(waiting=Waiting.RUN)), [make_sighting("cancelled")])
    assert isinstance(event, IssueClosed)
    assert event.how == "cancelled"


@pytest.mark.behaviour("RC-6")
@pytest.mark.parametrize(
    "case",
    [
        ("approved", {"updated_min": 5}, {}),
        ("to-analyse", {"updated_min": 5}, None),
        ("approved", {"moved_min": 90}, {}),
        ("approved", {}, {"last_human_at": NOW - timedelta(minutes=20)}),
        ("approved", {}, {"last_human_at": NOW - timedelta(minutes=30)}),
        ("approved", {"actor": "bot"}, {}),
        ("to-analyse", {"actor": "bot"}, None),
        ("approved", {}, {"waiting": Waiting.RUN}),
        ("approved", {}, {"stage": DONE}),
        ("approved", {}, None),
        ("approved", {"moved_min": None}, {}),
        ("done", {}, {"stage": DONE}),
        ("cancelled", {}, {"stage": CANCELLED}),
        ("done", {}, None),
        ("todo", {}, {}),
        ("unknown", {}, {}),
    ],
)
def test_where_nothing_is_missing_nothing_is_published(
    case: Case, make_pass: MakePass, make_task: Make, make_sighting: MakeSighting
) -> None:
    """Too young, already heard, given to an earlier stage, our own move, a task that does not wait, or no matter."""
    state_id, sighting, task = case
    view = make_pass() if task is None else make_pass(make_task(**task))
    assert diff(view, [make_sighting(state_id, **sighting)]) == ()


def test_an_activity_list_that_lags_behind_the_issue_is_not_believed(
    make_pass: MakePass, make_task: Make, make_sighting: MakeSighting
) -> None:
    newer = make_sighting("approved")
    older = make_sighting("todo")
    assert diff(make_pass(make_task()), [Sighting(issue=newer.issue, move=older.move)]) == ()
