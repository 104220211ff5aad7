"""Comments, edits, relations and vanished issues as the core compares them with the tasks."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from conveyor.contracts import facts_ids
from conveyor.contracts.commands import GateCause
from conveyor.contracts.events import CommentAdded, DependencyChanged, IssueChanged, VerdictGiven, Via
from conveyor.contracts.observed import TrackerComment
from conveyor.contracts.task import CREATED, DONE, GateWatch, Task, Waiting
from conveyor.reconciler.core.dependencies import released
from conveyor.reconciler.core.diff import diff
from conveyor.reconciler.core.look import Pass, Sighting, Wants, wants
from conveyor.reconciler.core.vanished import unlisted, vanished

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
Make = Callable[..., Task]
MakePass = Callable[..., Pass]
MakeSighting = Callable[..., Sighting]


def comment(text: str, *, minutes: float = 30, **fields: Any) -> TrackerComment:
    values = {"comment_id": f"c{minutes:g}", "actor_id": "ada", "text": text, "at": NOW - timedelta(minutes=minutes)}
    return TrackerComment(**values | fields)


def asks() -> GateWatch:
    return GateWatch(gate_id="g1", cause=GateCause.AGENT, asked_at=NOW - timedelta(minutes=40))


@pytest.fixture
def said(make_pass: MakePass, make_sighting: MakeSighting) -> Callable[..., list[Any]]:
    """What is published of a task's comments."""

    def say(task: Task, *comments: TrackerComment) -> list[Any]:
        seen = structs.replace(make_sighting("in-progress"), comments=comments, move=None)
        return [event for event in diff(make_pass(task), [seen]) if not isinstance(event, IssueChanged)]

    return say


@pytest.mark.behaviour("RC-2", "SE-7")
def test_an_answer_and_a_verdict_are_published_under_the_webhooks_name(
    make_task: Make, said: Callable[..., list[Any]]
) -> None:
    answer, verdict = comment("Green.", minutes=30), comment(":rejected: no", minutes=20)
    first, second = said(make_task(waiting=Waiting.ANSWER, gate=asks()), verdict, answer)
    assert isinstance(first, CommentAdded)
    assert (first.event_id, first.text, first.actor.actor_id) == (facts_ids.comment_added("c30"), "Green.", "ada")  # type: ignore[union-attr] # it has one
    assert isinstance(second, VerdictGiven)
    assert (second.via, second.reason) == (Via.COMMENT, "no")


@pytest.mark.behaviour("RC-6")
@pytest.mark.parametrize(
    "one",
    [
        comment("Green.", is_ours=True),
        comment("Green.", is_edited=True),
        comment("Green.", actor_id="bot"),
        comment("Green.", minutes=50),
        comment(":approved:", minutes=70),
    ],
)
def test_what_is_ours_edited_or_older_than_the_question_is_no_answer(
    one: TrackerComment, make_task: Make, said: Callable[..., list[Any]]
) -> None:
    assert said(make_task(waiting=Waiting.ANSWER, gate=asks()), one) == []


def test_talk_is_no_answer_where_none_is_waited_for(make_task: Make, said: Callable[..., list[Any]]) -> None:
    assert said(make_task(), comment("By the way.")) == []
    assert said(make_task(waiting=Waiting.RUN), comment(":approved:")) == []


@pytest.mark.behaviour("RC-2", "RC-11")
def test_a_new_title_and_other_dependencies_are_found(
    make_pass: MakePass, make_task: Make, make_sighting: MakeSighting
) -> None:
    task = make_task(title="Old", depends_on=("SHOP-3",))
    seen = structs.replace(make_sighting("todo", moved_min=None), blockers=("SHOP-9",))
    (event,) = diff(make_pass(task), [seen])
    assert isinstance(event, IssueChanged)
    assert (event.title, event.fields, event.depends_on) == ("A task", ("name", "description"), ("SHOP-7", "SHOP-9"))
    related = make_task(depends_on=("SHOP-7",))
    (event,) = diff(make_pass(related), [seen])
    assert isinstance(event, IssueChanged)
    assert event.fields == ("relations",)
    for same in (make_task(depends_on=("SHOP-9", "SHOP-7")), make_task(title="Old", stage=DONE)):
        assert diff(make_pass(same), [seen]) == ()
    unread = structs.replace(seen, blockers=None)
    assert diff(make_pass(make_task(depends_on=("SHOP-3",))), [unread]) == ()


@pytest.mark.behaviour("RC-9")
def test_only_what_changed_since_the_last_pass_costs_calls(
    make_pass: MakePass, make_task: Make, make_sighting: MakeSighting
) -> None:
    issue = make_sighting("todo").issue
    view = make_pass(make_task())
    assert wants(view, issue) == Wants(comments=True, blockers=True)
    assert wants(structs.replace(view, since=NOW - timedelta(minutes=40)), issue).anything
    assert not wants(structs.replace(view, since=NOW - timedelta(minutes=20)), issue).anything
    assert not wants(make_pass(make_task(stage=DONE)), issue).anything
    assert not wants(make_pass(), issue).anything
    assert not wants(view, make_sighting("approved", updated_min=5).issue).anything
    assert wants(structs.replace(view, hears_comments=False), issue) == Wants(blockers=True)


@pytest.mark.behaviour("RC-11")
def test_an_open_task_whose_issue_no_list_shows_is_asked_for(make_pass: MakePass, make_task: Make) -> None:
    gone, young = make_task(), make_task(key="SHOP-2", issue_id="i2", created_at=NOW)
    ended = make_task(key="SHOP-3", issue_id="i3", stage=DONE)
    view = make_pass(gone, young, ended)
    assert unlisted(view, {"i9"}) == (gone,)
    assert unlisted(view, {"i1"}) == ()
    again = make_task(created_at=NOW - timedelta(minutes=90))
    assert vanished(view, gone).event_id == vanished(view, gone).event_id != vanished(view, again).event_id


@pytest.fixture
def waits(make_task: Make) -> Make:
    def make(key: str, *others: str, **fields: Any) -> Task:
        usual = {"stage": CREATED, "waiting": Waiting.DEPENDENCY, "depends_on": others, "open_dependencies": others}
        return make_task(key=key, **usual | fields)

    return make


def let_go(*tasks: Task, ended: frozenset[str] = frozenset()) -> list[DependencyChanged]:
    return list(released({task.key: task for task in tasks}, ended, NOW, 600))


@pytest.mark.behaviour("RC-10", "SE-15")
def test_a_circle_is_told_to_everybody_in_it(waits: Make) -> None:
    told = let_go(waits("SHOP-1", "SHOP-2"), waits("SHOP-2", "SHOP-1"), waits("SHOP-3", "SHOP-1"))
    assert [event.cycle for event in told] == [("SHOP-1", "SHOP-2", "SHOP-1"), ("SHOP-2", "SHOP-1", "SHOP-2")]


@pytest.mark.behaviour("RC-10", "SE-15")
def test_who_waits_for_what_has_ended_is_told_by_whatever_is_known(waits: Make, make_task: Make) -> None:
    over = make_task(key="SHOP-9", stage=DONE)
    (event,) = let_go(waits("SHOP-1", "SHOP-9"), over)
    assert event.open_keys == ()
    (event,) = let_go(waits("SHOP-1", "SHOP-8", "SHOP-9"), ended=frozenset({"SHOP-8"}))
    assert event.open_keys == ("SHOP-9",)


@pytest.mark.behaviour("RC-5", "RC-6")
def test_what_is_not_known_to_have_ended_is_open(waits: Make, make_task: Make) -> None:
    """The false "unblocked" after a restart: nothing is known yet, so nothing goes on."""
    assert let_go(waits("SHOP-1", "SHOP-9")) == []
    assert let_go(waits("SHOP-1", "SHOP-9"), make_task(key="SHOP-9"), ended=frozenset({"SHOP-9"})) == []
    assert let_go(waits("SHOP-1", "SHOP-9", since=NOW), make_task(key="SHOP-9", stage=DONE)) == []
