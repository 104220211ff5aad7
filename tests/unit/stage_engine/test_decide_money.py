"""Money, usage limits and runs that get nowhere: what stops a task, and what only lets it wait."""

from datetime import timedelta

import pytest
from msgspec import structs

from conveyor.contracts.commands import ArmTimer, Notify, StartRun, Update
from conveyor.contracts.outcomes import OutcomeKind, OutcomeReason, Usage
from tests.unit.stage_engine.story import FIRST, Story


@pytest.mark.behaviour("RU-9")
def test_a_used_up_limit_pauses_the_task_until_its_reset_and_burns_no_attempt(story: Story) -> None:
    """Longer than any delay between attempts, and as often as it takes."""
    story.start()
    for _ in range(7):
        until = story.now + timedelta(hours=3)
        story.run_ends(OutcomeKind.TRANSIENT, OutcomeReason.RATE_LIMITED, resets_at=until)
        assert story.where == ("analysis", "retry")
        assert until <= story.one(ArmTimer).fires_at <= until + timedelta(seconds=10)
        assert story.task.run is not None
        assert "usage limit" in story.task.run.paused
        assert (story.task.budget.transients, story.task.budget.failures) == (0, 0)
        story.time_comes()
        assert story.where == ("analysis", "run")
        assert story.task.run.paused == ""
    assert not story.all(Notify)


@pytest.mark.parametrize("reset", [timedelta(hours=-1), timedelta(days=9), timedelta(days=365 * 7900)])
def test_a_reset_that_is_past_or_beyond_belief_is_an_ordinary_transient_failure(story: Story, reset: timedelta) -> None:
    story.start().run_ends(OutcomeKind.TRANSIENT, OutcomeReason.RATE_LIMITED, resets_at=story.now + reset)
    assert story.task.budget.transients == 1


@pytest.mark.behaviour("RU-13")
def test_a_run_is_told_what_it_may_cost_and_a_spent_task_starts_no_other() -> None:
    story = Story(structs.replace(FIRST, run_budget_usd=2.0, task_budget_usd=3.0)).start()
    assert story.one(StartRun).budgets == {"run": 2.0, "task": 3.0}
    story.run_succeeds(usage=Usage(cost_usd=1.75)).gate_passes()
    assert story.one(StartRun).budgets == {"run": 2.0, "task": 1.25}
    story.run_succeeds(usage=Usage(cost_usd=1.5)).gate_passes()
    assert story.task.status == "blocked"
    assert "task's budget of $3 is spent" in story.one(Notify).text
    assert story.retry().task.status == "blocked", "money stays spent"


def test_without_a_budget_nothing_is_said_of_money(story: Story) -> None:
    assert story.start().one(StartRun).budgets == {}


@pytest.mark.behaviour("RU-13")
@pytest.mark.parametrize("reason", [OutcomeReason.BUDGET_SPENT, OutcomeReason.NO_PROGRESS])
def test_a_run_that_was_stopped_for_money_or_standstill_is_not_repeated(story: Story, reason: OutcomeReason) -> None:
    story.start().run_ends(OutcomeKind.FAILED, reason, detail="it cost $5.02", log_subject="log.shop.SHOP-1.r1")
    assert story.where == ("analysis", "person")
    assert story.task.status == "blocked"
    assert "it cost $5.02" in story.one(Notify).text
    assert "log.shop.SHOP-1.r1" in story.one(Notify).text


@pytest.mark.behaviour("RU-13")
def test_three_runs_that_change_nothing_are_the_end_of_it() -> None:
    story = Story(structs.replace(FIRST, failure_attempts=9)).start()
    story.run_fails().run_is_limited().time_comes().run_fails(changed=True)
    for _ in range(2):
        assert story.run_fails().where == ("analysis", "run")
    story.run_fails()
    assert story.where == ("analysis", "person")
    assert "last 3 runs of the analyst changed nothing" in story.one(Notify).text
    assert story.retry().where == ("analysis", "run"), "a person's word gives it another chance"


def test_how_the_target_comes_into_the_branch_is_told_to_the_run() -> None:
    stages = tuple(structs.replace(stage, update=Update.REBASE) for stage in FIRST.stages)
    assert Story(structs.replace(FIRST, stages=stages)).start().one(StartRun).update is Update.REBASE


@pytest.mark.behaviour("RU-14")
def test_rework_goes_to_the_session_that_did_the_work(story: Story) -> None:
    story.to("development").run_succeeds(session_id="s-1").gate_passes().to("review")
    assert story.one(StartRun).session_id == "", "the reviewer has none yet"
    story.to("review").run_succeeds(session_id="s-2").gate_rejects("reviewer_verdict", "no test for the error path")
    rework = story.one(StartRun)
    assert (rework.role, rework.session_id) == ("developer", "s-1")
    assert "no test for the error path" in rework.instructions
