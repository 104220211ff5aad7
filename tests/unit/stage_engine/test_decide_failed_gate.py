"""A gate that cannot be looked at: nobody's work is at fault, a person is told, and a retry looks again."""

import pytest

from conveyor.contracts.commands import EvaluateGate, Level, Notify, StartRun
from conveyor.contracts.events import GateState
from conveyor.contracts.task import Waiting
from tests.unit.stage_engine.story import Story

WHY = "reading the CI status: answered 401; is gitea.token right?"


@pytest.mark.behaviour("SE-21", "SE-9")
def test_a_gate_that_cannot_be_looked_at_blocks_the_task_with_the_reason_and_costs_no_run(story: Story) -> None:
    story.to("development", waiting=Waiting.GATE).gate_stops("ci_green", GateState.FAILED, WHY)
    assert story.where == ("development", "person")
    assert story.task.is_escalated
    assert WHY in story.task.escalation
    assert story.one(Notify).level is Level.ALERT
    assert not story.all(StartRun)
    assert not story.task.budget.failures
    assert not story.task.budget.rollbacks


@pytest.mark.behaviour("SE-21")
def test_an_operators_retry_looks_at_the_gate_again_without_a_new_run(story: Story) -> None:
    story.to("development", waiting=Waiting.GATE).gate_stops("ci_green", GateState.FAILED, WHY).retry()
    assert story.where == ("development", "gate")
    assert "ci_green" in story.one(EvaluateGate).checks
    assert not story.all(StartRun)
    story.gate_passes()
    assert story.where == ("review", "run")


@pytest.mark.behaviour("SE-12", "SE-21")
def test_a_second_failure_leaves_the_task_blocked_and_is_told_when_a_person_asked(story: Story) -> None:
    story.to("development", waiting=Waiting.GATE).gate_stops("ci_green", GateState.FAILED, WHY)
    story.approve().gate_stops("ci_green", GateState.FAILED, f"{WHY} still")
    assert story.where == ("development", "person")
    assert story.task.is_escalated
    assert story.one(Notify)
