"""What people do: start, answer, approve, reject, edit, close; and what an operator may ask for."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from conveyor.contracts.commands import (
    CancelRun,
    CheckDependencies,
    EnsureBranch,
    EvaluateGate,
    PostComment,
    ReleaseDependents,
    SetStatus,
    StartRun,
)
from conveyor.contracts.events import Actor, CloseKind, GateState, Role, VerdictValue
from conveyor.contracts.pipeline import Pipeline, Stage
from conveyor.contracts.task import Waiting
from tests.unit.stage_engine.story import Story, checked

SECOND = timedelta(seconds=1)


@pytest.mark.behaviour("SE-5")
def test_a_start_makes_branch_comment_and_the_analysts_run(story: Story) -> None:
    story.start()
    assert story.where == ("analysis", "run")
    assert story.one(EnsureBranch).branch == "feature/SHOP-1-add-a-basket"
    assert "feature/SHOP-1-add-a-basket" in story.one(PostComment).text
    run = story.one(StartRun)
    assert (run.role, run.attempt, run.documents) == ("analyst", 1, ("01-analysis.md",))
    assert story.one(SetStatus).status == story.task.status == "analysis"


@pytest.mark.behaviour("SE-5")
def test_the_start_status_resumes_the_analyst_from_needs_input(story: Story) -> None:
    story.start().run_succeeds().gate_asks().start()
    assert story.where == ("analysis", "run")
    assert story.one(StartRun).role == "analyst"


@pytest.mark.behaviour("SE-5", "SE-3")
@pytest.mark.parametrize("stage", ["analysis", "development", "deploy"])
def test_a_start_on_a_busy_task_does_nothing(story: Story, stage: str) -> None:
    assert story.to(stage).start().last.ignored


@pytest.mark.behaviour("SE-3", "SE-5")
def test_the_start_of_a_task_that_asks_questions_now_does_not_answer_them(story: Story) -> None:
    story.start()
    started = story.told[-1]
    story.run_succeeds().gate_asks()
    assert story.again(started)


@pytest.mark.behaviour("SE-6")
def test_a_finished_analysis_asks_for_approval_and_waits_for_a_person(story: Story) -> None:
    story.to("analysis", waiting=Waiting.PERSON)
    assert story.commands == ["SetStatus", "PostComment", "Notify"]
    assert story.one(SetStatus).status == "in_review"
    assert story.nudge().last.ignored, "the gate never advances on its own"
    assert story.ci_says().last.ignored


@pytest.mark.behaviour("SE-6")
def test_questions_go_on_the_issue(story: Story) -> None:
    story.start().run_succeeds().gate_asks("Which colour?")
    assert story.where == ("analysis", "answer")
    assert story.one(SetStatus).status == "needs_input"
    assert "Which colour?" in story.one(PostComment).text


@pytest.mark.behaviour("SE-6")
def test_neither_documents_nor_questions_is_a_warning_and_no_second_run(story: Story) -> None:
    story.start().run_succeeds().gate_stops("analysis_complete", GateState.BROKEN, "neither is on the branch")
    assert story.where == ("analysis", "person")
    assert "neither is on the branch" in story.one(PostComment).text
    assert not story.all(StartRun)


@pytest.mark.behaviour("SE-6")
def test_an_agent_that_asks_again_is_heard_again(story: Story) -> None:
    story.start().run_succeeds().gate_asks().says("Blue.").run_succeeds().gate_asks("How blue?")
    assert "How blue?" in story.one(PostComment).text


@pytest.mark.behaviour("SE-7")
def test_an_answer_goes_to_the_analyst(story: Story) -> None:
    story.start().run_succeeds().gate_asks().says("Blue.")
    assert "Blue." in story.one(StartRun).instructions


@pytest.mark.behaviour("SE-7")
def test_a_comment_outside_needs_input_does_nothing(story: Story) -> None:
    story.start()
    assert story.says().last.ignored
    assert story.run_succeeds().says().last.ignored
    assert story.gate_pends("analysis_approved").says().last.ignored


@pytest.mark.behaviour("SE-3", "SE-7")
def test_a_comment_answers_one_round_of_questions_only(story: Story) -> None:
    story.start().run_succeeds().gate_asks().says("Blue.")
    said = story.told[-1]
    assert story.again(said)
    assert story.run_succeeds().gate_asks("How blue?").again(said)


@pytest.mark.behaviour("SE-7")
def test_an_answer_that_meets_a_look_at_the_gate_is_not_lost(story: Story) -> None:
    story.start().run_succeeds().gate_asks().approve()
    assert story.where == ("analysis", "gate")
    story.says("Blue.")
    assert story.where == ("analysis", "run")


@pytest.mark.behaviour("SE-7", "SE-12")
def test_an_approval_with_open_questions_shows_that_they_are_open(story: Story) -> None:
    story.start().run_succeeds().gate_asks()
    answer_at = story.now + SECOND
    story.approve().gate_asks()
    assert (story.where, story.commands) == (("analysis", "answer"), ["SetStatus"])
    assert story.one(SetStatus).status == "needs_input"
    assert not story.says(at=answer_at).last.ignored, "an answer given before the second look is one"


@pytest.mark.behaviour("SE-7")
def test_an_approval_is_looked_at_and_opens_the_gate(story: Story) -> None:
    story.to("analysis", waiting=Waiting.PERSON).approve()
    assert story.one(EvaluateGate).approved_by == "anna"
    story.gate_passes()
    assert story.where == ("architecture", "run")


@pytest.mark.behaviour("SE-7")
def test_a_rejected_analysis_is_done_again_with_the_reason(story: Story) -> None:
    story.to("analysis", waiting=Waiting.PERSON).reject("No prices.")
    assert story.where == ("analysis", "run")
    assert story.one(StartRun).instructions == "No prices."


@pytest.mark.behaviour("SE-7")
@pytest.mark.parametrize(
    ("stage", "back"), [("architecture", "analysis"), ("development", "architecture"), ("review", "development")]
)
def test_a_rejection_elsewhere_goes_to_the_stage_before(story: Story, stage: str, back: str) -> None:
    story.to(stage, waiting=Waiting.GATE).reject("No.")
    assert story.where == (back, "run")
    assert story.one(StartRun).instructions == "No."


@pytest.mark.behaviour("SE-7")
@pytest.mark.parametrize(
    "actor",
    [
        None,
        Actor(actor_id="u-gus", name="gus", role=Role.GUEST),
        Actor(actor_id="u-bot", name="bot", role=Role.BOT),
        Actor(actor_id="u-who", name="who"),
    ],
)
@pytest.mark.parametrize("verb", ["approve", "reject", "says"])
def test_guests_the_bot_and_strangers_decide_nothing(story: Story, actor: Actor | None, verb: str) -> None:
    if verb == "says":
        story.start().run_succeeds().gate_asks()
    else:
        story.to("analysis", waiting=Waiting.PERSON)
    named = ("role:member", "role:guest", "role:bot", "role:unknown", "gus", "bot", "who")
    for approvers in (story.pipeline.approvers, named):
        story.pipeline = structs.replace(story.pipeline, approvers=approvers)
        assert getattr(story, verb)(actor=actor).last.ignored == "not one of the project's approvers"


@pytest.mark.behaviour("SE-7")
def test_a_verdict_is_consumed_once_whichever_ways_it_comes(story: Story) -> None:
    story.to("analysis", waiting=Waiting.PERSON).approve()
    given = story.told[-1]
    assert story.again(given)
    assert story.gate_stops("analysis_complete", GateState.BROKEN).again(given)


@pytest.mark.behaviour("SE-7")
@pytest.mark.parametrize("verdict", list(VerdictValue))
def test_an_issue_left_on_a_verdict_decides_no_second_stage(story: Story, verdict: VerdictValue) -> None:
    story.to("analysis", waiting=Waiting.PERSON).approve().gate_passes()
    left = story.told[-2]
    at = left.at + SECOND
    for waiting in (Waiting.RUN, Waiting.GATE):
        story.to("architecture", waiting=waiting)
        assert story.approve(at=at, verdict=verdict).last.ignored


@pytest.mark.behaviour("SE-7")
def test_a_verdict_given_while_the_agent_worked_is_not_about_what_it_left(story: Story) -> None:
    """Ignored while it worked, and ignored when the reconciler tells it again later."""
    story.to("analysis", waiting=Waiting.PERSON).reject()
    early = story.now + SECOND
    assert story.approve(at=early).last.ignored
    story.run_succeeds().gate_pends("analysis_approved")
    assert story.approve(at=early).last.ignored


@pytest.mark.behaviour("SE-7")
def test_an_approval_outlives_other_news_about_the_same_commit() -> None:
    """A gate of a person's word and CI: CI that comes later does not ask the person again."""
    story = Story(two_words())
    story.start().run_succeeds().gate_pends("analysis_approved").approve()
    story.ci_says("pending")
    assert story.gate_passes().one(EvaluateGate).approved_by == "anna", "looks again, with the approval"
    story.gate_pends("ci_green").ci_says()
    assert story.one(EvaluateGate).approved_by == "anna"
    assert story.gate_passes().task.is_over


@pytest.mark.behaviour("SE-7")
def test_an_approval_does_not_cover_a_commit_pushed_after_it() -> None:
    story = Story(two_words())
    story.start().run_succeeds().gate_pends("analysis_approved").approve().push().gate_passes()
    assert story.one(EvaluateGate).approved_by == ""
    story.gate_pends("analysis_approved")
    assert story.one(SetStatus).status == "in_review", "people are asked again"


def two_words() -> Pipeline:
    """One stage that a person and CI have to let pass."""
    return Pipeline(name="two", stages=(Stage(name="analysis", role="a", gate=("analysis_approved", "ci_green")),))


@pytest.mark.behaviour("SE-12", "SE-13")
def test_a_failed_approval_is_told_once_and_the_status_shows_what_is_so(story: Story) -> None:
    story.to("analysis", waiting=Waiting.PERSON).approve()
    story.gate_stops("analysis_complete", GateState.BROKEN, "01-analysis.md is gone")
    assert (story.where, story.commands) == (("analysis", "person"), ["SetStatus", "PostComment", "Notify"])
    assert story.one(SetStatus).status == "in_review"
    story.approve().gate_stops("analysis_complete", GateState.BROKEN, "01-analysis.md is gone")
    assert story.commands == ["SetStatus"]


@pytest.mark.behaviour("SE-19")
@pytest.mark.parametrize(
    ("how", "stage"),
    [
        (CloseKind.CANCELLED, "cancelled"),
        (CloseKind.DELETED, "cancelled"),
        (CloseKind.ARCHIVED, "cancelled"),
        (CloseKind.COMPLETED, "done"),
    ],
)
def test_a_closed_issue_stops_its_run_and_ends_its_task(story: Story, how: CloseKind, stage: str) -> None:
    run_id = story.to("development").run_id
    story.close(how)
    assert (story.where, story.commands) == ((stage, ""), ["CancelRun", "ReleaseDependents"])
    assert story.one(CancelRun).run_id == run_id
    assert story.task.status == stage, "a status still on its way is older and gets dropped"


@pytest.mark.behaviour("SE-19", "SE-3")
def test_nothing_moves_a_task_that_is_over(story: Story) -> None:
    story.to("development")
    run_id = story.run_id
    story.close()
    told = [*story.told]
    assert all(story.again(one) for one in told)
    assert story.run_begins(run_id=run_id).last.ignored
    assert story.retry().last.ignored
    assert story.cancel().last.ignored


@pytest.mark.behaviour("SE-5", "SE-19")
def test_a_cancelled_task_can_be_taken_up_again_and_its_former_life_does_not_speak(story: Story) -> None:
    story.to("testing").cancel()
    former = [*story.told]
    story.start(title="Add two baskets")
    assert story.where == ("analysis", "run")
    assert (story.task.pull_request, story.task.merge_sha, story.task.title) == (0, "", "Add two baskets")
    assert story.task.budget.cost_usd > 0, "money stays spent"
    assert [told for told in former if not story.again(told)] == []


@pytest.mark.behaviour("SE-5")
def test_a_done_task_is_not_begun_again(story: Story) -> None:
    story.to("deploy", waiting=Waiting.GATE).gate_passes()
    assert story.start().last.ignored


@pytest.mark.behaviour("SE-19")
def test_an_edit_is_seen_by_the_next_run_and_an_older_one_does_not_undo_it(story: Story) -> None:
    story.start().edit("Add a basket")
    assert story.last.ignored
    older = story.now + SECOND
    story.edit("Add three baskets")
    assert story.edit("Add two baskets", at=older).last.ignored
    story.run_succeeds().gate_asks().says()
    assert story.one(StartRun).title == "Add three baskets"


@pytest.mark.behaviour("SE-19")
def test_an_operators_cancel_stops_the_run_and_shows_it(story: Story) -> None:
    story.start().cancel()
    assert story.commands == ["CancelRun", "ReleaseDependents", "SetStatus"]
    assert story.one(SetStatus).status == "cancelled"


@pytest.mark.behaviour("SE-3")
def test_a_retry_is_taken_once_and_never_while_a_run_is_under_way(story: Story) -> None:
    assert story.to("development").retry().last.ignored
    too_early = story.told[-1]
    assert story.run_succeeds().again(too_early)
    story.retry()
    assert story.where == ("development", "run")
    taken = story.told[-1]
    assert story.run_succeeds().again(taken)


@pytest.mark.behaviour("SE-15")
def test_a_task_waits_without_a_run_until_what_it_depends_on_is_done(story: Story) -> None:
    story.start(depends_on=("SHOP-7", "SHOP-8"))
    assert story.where == ("created", "dependency")
    assert story.one(CheckDependencies).depends_on == ("SHOP-7", "SHOP-8")
    assert not story.all(StartRun)
    story.looks_at_dependencies(["SHOP-8"])
    assert (story.where, story.task.open_dependencies) == (("created", "dependency"), ("SHOP-8",))
    story.looks_at_dependencies()
    assert story.where == ("analysis", "run")


@pytest.mark.behaviour("SE-15")
def test_a_dependency_that_comes_later_holds_the_next_run(story: Story) -> None:
    story.to("architecture").edit(depends_on=("SHOP-7",)).run_succeeds().gate_passes()
    assert story.where == ("development", "dependency")
    story.looks_at_dependencies(["SHOP-7"])
    assert story.where == ("development", "dependency")
    story.looks_at_dependencies()
    assert story.where == ("development", "run")


@pytest.mark.behaviour("SE-15")
def test_a_late_look_at_dependencies_opens_nothing_again(story: Story) -> None:
    story.start(depends_on=("SHOP-7",)).looks_at_dependencies()
    assert story.looks_at_dependencies(["SHOP-7"]).last.ignored
    assert story.looks_at_dependencies(["SHOP-9"], depends_on=("SHOP-9",)).last.ignored


@pytest.mark.behaviour("SE-15")
def test_a_circle_blocks_and_alerts_once_until_it_is_opened(story: Story) -> None:
    story.start(depends_on=("SHOP-7",)).looks_at_dependencies(["SHOP-7"], ("SHOP-1", "SHOP-7", "SHOP-1"))
    circle = story.told[-1]
    assert (story.where, story.commands) == (("created", "person"), ["SetStatus", "PostComment", "Notify"])
    assert story.looks_at_dependencies(["SHOP-7"], ("SHOP-1", "SHOP-7", "SHOP-1")).last.ignored
    assert story.approve().last.ignored
    story.looks_at_dependencies(["SHOP-7"])
    assert (story.where, story.task.escalation, story.task.status) == (("created", "dependency"), "", "todo")
    assert story.again(circle)
    story.looks_at_dependencies()
    assert story.where == ("analysis", "run")


@pytest.mark.behaviour("SE-15")
def test_a_circle_of_a_task_at_work_gives_its_stage_back(story: Story) -> None:
    story.to("development").edit(depends_on=("SHOP-7",)).looks_at_dependencies([], ("SHOP-1", "SHOP-7", "SHOP-1"))
    assert (story.where, story.task.status) == (("development", "person"), "blocked")
    assert story.one(CancelRun)
    story.looks_at_dependencies()
    assert (story.where, story.task.status) == (("development", "run"), "development")


@pytest.mark.behaviour("SE-15")
def test_an_ended_task_has_those_that_wait_for_it_looked_at(story: Story) -> None:
    story.to("deploy", waiting=Waiting.GATE).gate_passes()
    assert story.one(ReleaseDependents)


@pytest.mark.behaviour("SE-15")
def test_a_task_without_dependencies_asks_nothing_about_them(story: Story) -> None:
    story.start()
    while not story.task.is_over:
        story.step()
    assert not [command for command in story.ordered if isinstance(command, CheckDependencies)]


@pytest.mark.behaviour("SE-1")
def test_an_event_from_the_future_is_not_believed(story: Story) -> None:
    story.to("analysis", waiting=Waiting.PERSON)
    at = story.now + timedelta(hours=1)
    assert story.approve(at=at, received_at=story.now).last.ignored.startswith("from the future")
    end = datetime.max.replace(tzinfo=UTC)
    assert story.approve(at=end, received_at=end).where == ("analysis", "gate"), "the last moment there is can be told"


@pytest.mark.behaviour("SE-1")
def test_an_event_about_no_task_is_ignored_unless_it_starts_one() -> None:
    story = Story().start().approve().close().retry().edit("x").ci_says()
    for told in story.told[1:]:
        assert checked(story.pipeline, None, told).ignored == "there is no such task"
