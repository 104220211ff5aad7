"""A stage whose gate is a command of the user's: its exit code is the verdict, and a no goes back like any other."""

import pytest
from msgspec.structs import replace

from conveyor.contracts.commands import EvaluateGate, StartRun
from conveyor.contracts.outcomes import OutcomeKind, OutcomeReason
from conveyor.contracts.pipeline import Edge, Stage
from conveyor.contracts.pipelines import default_pipeline
from tests.unit.stage_engine.story import Story

CHECKED = replace(
    default_pipeline(),
    stages=(
        replace(default_pipeline().stages[0], gate=("analysis_complete",)),
        Stage(name="development", role="developer", gate=("has_changes",)),
        Stage(
            name="testing",
            role="tester",
            agent="make-test",
            gate=("command",),
            edges=(Edge(on="command", to="development", cap=2),),
        ),
    ),
)


def _at_the_command() -> Story:
    story = Story(CHECKED).start().run_succeeds().gate_passes().run_succeeds().gate_passes()
    assert (story.where, story.one(StartRun).agent) == (("testing", "run"), "make-test")
    return story


@pytest.mark.behaviour("SE-8")
def test_a_command_that_exits_0_passes_its_gate() -> None:
    story = _at_the_command().run_succeeds()
    assert story.one(EvaluateGate).run_verdict == "PASS"
    assert story.gate_passes().task.stage == "done"


@pytest.mark.behaviour("SE-8")
def test_a_command_that_exits_otherwise_is_a_no_and_not_a_broken_run() -> None:
    """It costs no failure attempt: the developer is asked, with a cap, not the command again."""
    story = _at_the_command().run_fails()
    assert story.one(EvaluateGate).run_verdict == "FAIL"
    assert story.task.budget.failures == 0
    story.gate_rejects("command", "2 tests fail")
    assert (story.where, story.task.budget.rollbacks) == (("development", "run"), {"development": 1})


@pytest.mark.behaviour("SE-8")
def test_a_command_that_never_came_to_its_exit_says_nothing() -> None:
    story = _at_the_command().run_ends(OutcomeKind.TIMEOUT, OutcomeReason.WALL_TIME)
    assert (story.where, story.one(StartRun).attempt) == (("testing", "run"), 2)
