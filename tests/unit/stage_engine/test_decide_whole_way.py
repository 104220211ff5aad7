"""The default pipeline from start to done, step by step: every stage and every command, in order."""

import pytest

from conveyor.contracts.commands import Notify, PostComment, SetStatus, StartRun
from tests.unit.stage_engine.story import Story

Step = tuple[str, str, list[str]]


def steps(story: Story, verbs: str) -> list[Step]:
    """Let these verbs happen and return where the task stood after each, and what was ordered."""
    seen: list[Step] = []
    for verb in verbs.split():
        name, _, argument = verb.partition(":")
        getattr(story, name)(*argument.split(",") if argument else ())
        seen.append((*story.where, story.commands))
    return seen


ENTER = ["SetStatus", "StartRun"]
LOOK = ["EvaluateGate"]


@pytest.mark.behaviour("SE-5", "SE-6", "SE-7", "SE-10", "SE-13")
def test_a_task_with_a_question_an_approval_and_one_review_rejection_comes_to_done(story: Story) -> None:
    assert steps(story, "start run_succeeds gate_asks says run_succeeds gate_pends:analysis_approved") == [
        ("analysis", "run", ["EnsureBranch", "PostComment", *ENTER]),
        ("analysis", "gate", LOOK),
        ("analysis", "answer", ["SetStatus", "PostComment", "Notify"]),
        ("analysis", "run", ENTER),
        ("analysis", "gate", LOOK),
        ("analysis", "person", ["SetStatus", "PostComment", "Notify"]),
    ]
    assert steps(story, "approve gate_passes run_succeeds gate_passes run_succeeds gate_pends:ci_green") == [
        ("analysis", "gate", LOOK),
        ("architecture", "run", ENTER),
        ("architecture", "gate", LOOK),
        ("development", "run", ENTER),
        ("development", "gate", LOOK),
        ("development", "facts", []),
    ]
    assert steps(story, "ci_says gate_passes run_succeeds gate_rejects:reviewer_verdict run_succeeds gate_passes") == [
        ("development", "gate", LOOK),
        ("review", "run", ENTER),
        ("review", "gate", LOOK),
        ("development", "run", ["PostComment", *ENTER]),
        ("development", "gate", LOOK),
        ("review", "run", ENTER),
    ]
    assert steps(story, "run_succeeds gate_passes run_succeeds gate_passes effect_ends run_succeeds gate_passes") == [
        ("review", "gate", LOOK),
        ("testing", "run", ENTER),
        ("testing", "gate", LOOK),
        ("deploy", "effect", ["SetStatus", "Merge"]),
        ("deploy", "run", ENTER),
        ("deploy", "gate", LOOK),
        ("done", "", ["ReleaseDependents", "SetStatus", "PostComment", "Notify"]),
    ]
    shown = [command.status for command in story.ordered if isinstance(command, SetStatus)]
    assert shown == [
        *("analysis", "needs_input", "analysis", "in_review", "architecture", "development"),
        *("code_review", "development", "code_review", "testing", "awaiting_deploy", "deploying", "done"),
    ]
    assert story.task.merge_sha == "e" * 40
    assert story.task.budget.cost_usd == 4.5


@pytest.mark.behaviour("SE-5")
def test_entering_a_stage_starts_its_own_agent_and_not_the_next_ones(story: Story) -> None:
    story.start()
    while not story.task.is_over:
        story.step()
    started = [(command.stage, command.role) for command in story.ordered if isinstance(command, StartRun)]
    assert started == [
        ("analysis", "analyst"),
        ("architecture", "architect"),
        ("development", "developer"),
        ("review", "reviewer"),
        ("testing", "tester"),
        ("deploy", "deployer"),
    ]


@pytest.mark.behaviour("SE-6")
def test_people_are_told_of_what_needs_them_and_of_the_end_only(story: Story) -> None:
    story.start()
    while not story.task.is_over:
        story.step()
    assert [command.text for command in story.ordered if isinstance(command, Notify)] == [
        "SHOP-1: analysis is ready for approval.",
        "SHOP-1: done.",
    ]
    assert len([command for command in story.ordered if isinstance(command, PostComment)]) == 3
