"""What machines report: runs, timers, gates, merges, health; with the budgets that end every loop."""

import pytest
from msgspec import structs

from conveyor.contracts.commands import (
    ArmTimer,
    CheckHealth,
    DeleteBranch,
    EvaluateGate,
    Level,
    Merge,
    Notify,
    PostComment,
    StartRun,
)
from conveyor.contracts.events import GateState, PullRequestAction
from conveyor.contracts.outcomes import OutcomeKind, OutcomeReason
from conveyor.contracts.pipeline import Edge, Pipeline, Stage
from conveyor.contracts.task import Waiting
from tests.unit.stage_engine.story import FIRST, Story

# --- runs


@pytest.mark.behaviour("SE-1", "SE-3")
def test_the_outcome_of_a_run_counts_once_and_only_while_it_is_the_current_one(story: Story) -> None:
    old = story.start().run_id
    story.run_fails()
    assert story.again()
    assert story.run_ends(OutcomeKind.SUCCEEDED, run_id=old).last.ignored
    assert story.run_begins(run_id=old).last.ignored
    assert story.where == ("analysis", "run")


def test_who_runs_it_is_noted_and_an_older_word_of_it_is_not(story: Story) -> None:
    story.start().run_begins("runner-1").run_begins("runner-2")
    first = story.told[-2]
    assert story.task.run is not None
    assert story.task.run.runner_id == "runner-2"
    assert story.again(first)


@pytest.mark.behaviour("RU-8")
def test_two_failures_are_the_end_and_one_person_is_told_where_to_look(story: Story) -> None:
    story.start().run_fails()
    assert (story.where, story.one(StartRun).attempt) == (("analysis", "run"), 2)
    story.run_fails(detail="exit code 3", log_subject="log.shop.SHOP-1.r2")
    assert (story.where, story.task.status) == (("analysis", "person"), "blocked")
    assert "log.shop.SHOP-1.r2" in story.one(Notify).text
    assert story.one(Notify).level is Level.ALERT


@pytest.mark.behaviour("RU-8")
def test_transient_failures_wait_longer_each_time_and_burn_no_failure_attempt(story: Story) -> None:
    story.start()
    for least in (20, 40, 80, 160):
        story.run_is_limited()
        wait = (story.one(ArmTimer).fires_at - story.now).total_seconds()
        assert least <= wait <= least * 1.1
        assert story.task.budget.failures == 0
        story.time_comes()
        assert story.where == ("analysis", "run")
    story.run_is_limited()
    assert story.where == ("analysis", "person")
    assert len(story.all(Notify)) == 1


@pytest.mark.behaviour("RU-8")
@pytest.mark.parametrize(("asked", "least"), [(5.0, 20), (300.0, 300), (4000.0, 600), (None, 20)])
def test_a_longer_wait_that_the_provider_asks_for_wins_up_to_the_cap(
    story: Story, asked: float | None, least: float
) -> None:
    story.start().run_is_limited(asked)
    assert least <= (story.one(ArmTimer).fires_at - story.now).total_seconds() <= least * 1.1


@pytest.mark.behaviour("RU-8")
def test_the_wait_is_capped_before_jitter() -> None:
    story = Story(structs.replace(FIRST, transient_attempts=12)).start()
    for _ in range(8):
        story.run_is_limited().time_comes()
    story.run_is_limited()
    assert 600 <= (story.one(ArmTimer).fires_at - story.now).total_seconds() <= 660


@pytest.mark.behaviour("SE-3")
def test_a_timer_that_fires_twice_or_late_starts_nothing(story: Story) -> None:
    story.start().run_is_limited().time_comes()
    fired = story.told[-1]
    assert story.again(fired)
    assert story.run_is_limited().again(fired)
    assert story.cancel().again(fired)


@pytest.mark.parametrize("kind", [OutcomeKind.LOST, OutcomeKind.CANCELLED])
def test_a_lost_run_runs_again_at_once_but_not_for_ever(story: Story, kind: OutcomeKind) -> None:
    story.start()
    for _ in range(4):
        assert story.run_ends(kind, OutcomeReason.RUNNER_DIED).where == ("analysis", "run")
    assert story.run_ends(kind, OutcomeReason.RUNNER_DIED).where == ("analysis", "person")


@pytest.mark.parametrize("kind", [OutcomeKind.FAILED, OutcomeKind.CANCELLED, OutcomeKind.TRANSIENT])
def test_a_spent_budget_starts_no_further_run(story: Story, kind: OutcomeKind) -> None:
    story.start().run_ends(kind, OutcomeReason.BUDGET_SPENT, detail="5 of 5 dollars")
    assert (story.where, story.all(StartRun)) == (("analysis", "person"), [])


def test_a_second_try_keeps_what_the_first_was_asked_for(story: Story) -> None:
    """Findings are not lost when the run that has to answer them leaves nothing readable."""
    story.to("review").run_succeeds().gate_rejects("reviewer_verdict", "Rename it.")
    story.run_succeeds(changed=False).gate_stops("has_changes", GateState.BROKEN, "it changed nothing")
    assert story.one(StartRun).instructions.startswith("Rename it.")
    assert "it changed nothing" in story.one(StartRun).instructions


# --- gates


def test_a_gate_is_looked_at_in_its_order_at_the_commit_the_run_left(story: Story) -> None:
    story.to("review").run_succeeds(head="b" * 40)
    look = story.one(EvaluateGate)
    assert (look.checks, look.sha, look.pull_request) == (("reviewer_verdict", "ci_green"), "b" * 40, 5)


@pytest.mark.behaviour("SE-3")
def test_the_answer_of_an_evaluation_counts_once_and_only_while_it_is_out(story: Story) -> None:
    story.to("development", waiting=Waiting.GATE).gate_pends("ci_green")
    pended = story.told[-1]
    assert story.again(pended)
    assert story.ci_says().again(pended)


@pytest.mark.behaviour("SE-10")
@pytest.mark.parametrize(
    ("stage", "check", "goes_to"),
    [
        ("architecture", "architecture_done", ("analysis", "analyst", "analysis")),
        ("development", "ci_green", ("development", "developer", "development")),
        ("review", "reviewer_verdict", ("development", "developer", "development")),
        ("review", "ci_green", ("development", "developer", "development")),
        ("testing", "tests_passed", ("development", "developer", "in_progress")),
        ("testing", "branch_mergeable", ("development", "developer", "development")),
    ],
)
def test_an_agents_no_sends_the_task_back_with_the_findings(
    story: Story, stage: str, check: str, goes_to: tuple[str, str, str]
) -> None:
    back, role, status = goes_to
    story.to(stage, waiting=Waiting.GATE).gate_rejects(check, "x" * 900)
    assert story.where == (back, "run")
    assert (story.one(StartRun).role, story.one(StartRun).instructions) == (role, "x" * 900)
    assert story.task.status == status
    assert "x" * 499 in story.one(PostComment).text
    assert "x" * 501 not in story.one(PostComment).text


@pytest.mark.behaviour("SE-11")
def test_three_rollbacks_into_development_and_the_fourth_blocks_until_an_operator_retries(story: Story) -> None:
    """The retry goes on where the cap kept the task from going: the developer, with what was found."""
    for used in (1, 2, 3):
        story.to("review", waiting=Waiting.GATE).gate_rejects("reviewer_verdict")
        assert (story.where, story.task.budget.rollbacks) == (("development", "run"), {"development": used})
    story.to("testing", waiting=Waiting.GATE).gate_rejects("tests_passed", "it fails")
    assert (story.where, story.task.status) == (("testing", "person"), "blocked")
    assert story.commands == ["SetStatus", "PostComment", "Notify"]
    assert story.nudge().last.ignored
    assert story.ci_says("failure").last.ignored
    assert story.reviewed().last.ignored
    story.retry()
    assert (story.where, story.task.budget.rollbacks, story.task.escalation) == (("development", "run"), {}, "")
    assert "it fails" in story.one(StartRun).instructions
    story.to("testing", waiting=Waiting.GATE).gate_rejects("tests_passed")
    assert (story.where, story.task.budget.rollbacks) == (("development", "run"), {"development": 1})


@pytest.mark.behaviour("SE-11")
def test_a_person_who_approves_a_blocked_task_in_vain_leaves_it_blocked(story: Story) -> None:
    story.to("development").run_fails().run_fails().approve().gate_stops("has_changes", GateState.BROKEN, "nothing")
    assert (story.where, story.task.status) == (("development", "person"), "blocked")
    assert story.task.is_escalated
    story.approve().gate_passes()
    assert (story.where, story.task.is_escalated) == (("review", "run"), False)


@pytest.mark.behaviour("SE-9")
def test_an_unreadable_verdict_is_no_rollback_but_a_failed_attempt(story: Story) -> None:
    story.to("review", waiting=Waiting.GATE).gate_stops("reviewer_verdict", GateState.BROKEN, "no front matter")
    assert (story.where, story.one(StartRun).attempt) == (("review", "run"), 2)
    assert "no front matter" in story.one(StartRun).instructions
    assert story.task.budget.rollbacks == {}
    story.run_succeeds().gate_stops("reviewer_verdict", GateState.BROKEN, "no front matter")
    assert story.where == ("review", "person")


@pytest.mark.behaviour("SE-12")
def test_a_gate_that_fails_for_an_agent_is_rolled_back_without_an_alarm(story: Story) -> None:
    story.to("review", waiting=Waiting.GATE).gate_rejects("reviewer_verdict")
    assert story.commands == ["PostComment", "SetStatus", "StartRun"]


@pytest.mark.behaviour("SE-12", "SE-10")
def test_a_gate_that_fails_after_a_webhook_is_announced_and_rolled_back(story: Story) -> None:
    story.to("development", waiting=Waiting.GATE).gate_pends("ci_green").ci_says("failure").gate_rejects("ci_green")
    assert story.commands == ["PostComment", "SetStatus", "StartRun", "Notify"]


@pytest.mark.behaviour("SE-12")
def test_a_gate_that_stays_broken_for_webhooks_is_announced_once(story: Story) -> None:
    story.to("review", waiting=Waiting.GATE).gate_pends("ci_green").ci_says("failure")
    story.gate_stops("ci_green", GateState.BROKEN, "CI cannot be read")
    assert (story.where, story.commands) == (("review", "facts"), ["PostComment", "Notify"])
    story.ci_says("error").gate_stops("ci_green", GateState.BROKEN, "CI cannot be read")
    assert (story.where, story.commands) == (("review", "facts"), [])


@pytest.mark.behaviour("SE-12")
@pytest.mark.parametrize("state", [GateState.PENDING, GateState.REJECTED, GateState.BROKEN])
def test_a_nudge_that_finds_red_is_silent_and_one_that_finds_green_goes_on(story: Story, state: GateState) -> None:
    story.to("review", waiting=Waiting.GATE).gate_pends("ci_green").nudge()
    nudged = story.told[-1]
    assert story.commands == ["EvaluateGate"]
    assert story.again(nudged)
    story.gate_stops("ci_green", state)
    assert (story.where, story.commands) == (("review", "facts"), [])
    assert story.again(nudged)
    story.nudge().gate_passes()
    assert story.where == ("testing", "run")


def test_a_nudge_for_an_answer_that_never_came_asks_again_as_before(story: Story) -> None:
    story.to("review", waiting=Waiting.GATE)
    lost = story.gate_id
    story.nudge()
    assert story.gate_id != lost
    story.gate_rejects("reviewer_verdict")
    assert story.where == ("development", "run"), "the agent's no is still rolled back"


def test_news_while_an_evaluation_is_out_makes_it_look_again(story: Story) -> None:
    story.to("review", waiting=Waiting.GATE).ci_says("pending")
    assert story.commands == []
    story.gate_pends("ci_green")
    assert (story.where, story.commands) == (("review", "gate"), ["EvaluateGate"])
    assert story.one(EvaluateGate).run_id, "still about the reviewer's run"


def test_an_approval_that_overtakes_an_agents_evaluation_takes_no_rollback_away(story: Story) -> None:
    story.to("review", waiting=Waiting.GATE).approve().gate_rejects("reviewer_verdict")
    assert story.where == ("development", "run")


# --- merge, deploy, monitor


@pytest.mark.behaviour("SE-16")
def test_what_was_tested_is_merged_and_nothing_else(story: Story) -> None:
    story.to("testing").run_succeeds(head="c" * 40).gate_passes()
    merge = story.one(Merge)
    assert (merge.head, merge.pull_request, story.task.awaiting) == ("c" * 40, 5, merge.command_id)
    assert story.effect_ends(command_id="another", succeeded=False).last.ignored
    story.effect_ends()
    assert (story.where, story.task.merge_sha) == (("deploy", "run"), "e" * 40)
    assert story.again()


@pytest.mark.behaviour("SE-16")
def test_a_merge_that_fails_goes_to_development_with_the_reason(story: Story) -> None:
    story.to("deploy", waiting=Waiting.EFFECT).effect_ends(succeeded=False, reason="it conflicts")
    assert story.where == ("development", "run")
    assert "it conflicts" in story.one(StartRun).instructions


@pytest.mark.behaviour("SE-11", "SE-16")
def test_a_merged_task_is_never_rolled_back(story: Story) -> None:
    story.to("deploy")
    for verb in (story.reviewed, story.reject):
        assert verb().last.ignored
    story.run_succeeds().gate_rejects("deploy_status", "the site is down")
    assert (story.where, story.task.status) == (("deploy", "person"), "blocked")
    story.reject()
    assert story.where == ("deploy", "person")


@pytest.mark.behaviour("SE-11", "SE-16")
def test_no_edge_leads_back_behind_the_merge() -> None:
    *before, deploy = FIRST.stages
    back = Edge(on="deploy_status", to="development", cap=3)
    story = Story(structs.replace(FIRST, stages=(*before, structs.replace(deploy, edges=(*deploy.edges, back)))))
    story.to("deploy").run_succeeds().gate_rejects("deploy_status", "the site is down")
    assert (story.where, story.task.status) == (("deploy", "person"), "blocked")


@pytest.mark.behaviour("SE-16")
@pytest.mark.parametrize("stage", ["analysis", "development", "testing"])
def test_a_person_who_merges_by_hand_moves_the_task_behind_the_merge(story: Story, stage: str) -> None:
    story.to(stage).pull_request(PullRequestAction.MERGED)
    assert (story.where, story.task.merge_sha) == (("deploy", "run"), "f" * 40)
    assert story.commands == ["CancelRun", "SetStatus", "StartRun"]
    assert story.again()


@pytest.mark.behaviour("SE-16")
@pytest.mark.parametrize("succeeded", [True, False])
def test_a_merge_by_hand_and_our_own_end_the_same_way(story: Story, succeeded: bool) -> None:
    story.to("deploy", waiting=Waiting.EFFECT).pull_request(PullRequestAction.MERGED)
    assert story.where == ("deploy", "effect")
    story.effect_ends(succeeded=succeeded, reason="it is merged already")
    assert story.where == ("deploy", "run")


@pytest.mark.behaviour("SE-16")
def test_a_merge_that_nobody_awaits_any_more_is_still_a_merge(story: Story) -> None:
    command_id = story.to("deploy", waiting=Waiting.EFFECT).task.awaiting
    story.reviewed()
    assert story.where == ("development", "run")
    story.effect_ends(command_id=command_id)
    assert (story.where, story.task.merge_sha) == (("deploy", "run"), "e" * 40)


def test_without_a_pull_request_a_person_has_to_look(story: Story) -> None:
    story.to("testing", waiting=Waiting.GATE)
    story._task = structs.replace(story.task, pull_request=0)
    story.gate_passes()
    assert (story.where, story.task.status, story.all(Merge)) == (("deploy", "person"), "blocked", [])
    story.approve()
    assert not story.all(EvaluateGate), "an approval never jumps over the merge"
    story.pull_request(PullRequestAction.OPENED, 9).approve()
    assert (story.where, story.one(Merge).pull_request) == (("deploy", "effect"), 9)


@pytest.mark.behaviour("SE-18")
def test_after_the_last_gate_the_system_is_watched(story: Story) -> None:
    story = Story(watched()).to("ship", waiting=Waiting.GATE).gate_passes()
    assert (story.where, story.task.status) == (("ship", "effect"), "monitoring")
    assert story.one(CheckHealth).window_s == 300
    assert story.approve().last.ignored
    story.effect_ends(effect="check_health")
    assert story.where == ("done", "")


@pytest.mark.behaviour("SE-18")
def test_a_degraded_system_blocks_and_alerts_and_nothing_is_taken_back(story: Story) -> None:
    story = Story(watched()).to("ship", waiting=Waiting.GATE).gate_passes()
    story.effect_ends(effect="check_health", succeeded=False, reason="500")
    assert (story.where, story.task.status) == (("ship", "person"), "blocked")
    assert story.one(Notify).level is Level.ALERT
    assert not story.all(StartRun)


def watched() -> Pipeline:
    """One stage, watched after its gate."""
    return Pipeline(name="w", stages=(Stage(name="ship", role="d", gate=("deploy_status",), monitor_s=300),))


# --- the pipeline is edited under a task


def test_a_stage_edited_away_blocks_its_task_and_loses_no_outcome_in_silence(story: Story) -> None:
    story.to("review")
    whole, stages = story.pipeline, story.pipeline.stages
    story.pipeline = structs.replace(whole, stages=tuple(stage for stage in stages if stage.name != "review"))
    assert story.approve().last.ignored
    story.run_succeeds()
    assert (story.where, story.task.status) == (("review", "person"), "blocked")
    assert "no stage review" in story.one(Notify).text
    assert story.retry().last.ignored
    story.pipeline = whole
    story.retry()
    assert story.where == ("review", "run")


def test_a_task_of_a_stage_edited_away_can_be_cancelled(story: Story) -> None:
    story.to("review")
    story.pipeline = structs.replace(story.pipeline, stages=story.pipeline.stages[:2])
    story.cancel()
    assert story.where == ("cancelled", "")


@pytest.mark.behaviour("SE-17")
def test_the_branch_of_what_is_merged_and_done_goes_where_the_pipeline_says_so() -> None:
    story = Story(structs.replace(FIRST, deletes_branch=True)).to("deploy", waiting=Waiting.GATE)
    head = story.task.head
    assert story.gate_passes().where == ("done", "")
    assert (story.one(DeleteBranch).branch, story.one(DeleteBranch).head) == (story.task.branch, head)
    assert not Story(FIRST).to("deploy", waiting=Waiting.GATE).gate_passes().all(DeleteBranch)
