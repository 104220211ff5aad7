"""What people and CI do on the forge: pushes, statuses, reviews, pull requests."""

import pytest

from conveyor.contracts.commands import EvaluateGate, StartRun
from conveyor.contracts.events import PullRequestAction, ReviewValue
from conveyor.contracts.task import Waiting
from tests.unit.stage_engine.story import Story


def waits_for_ci(story: Story) -> Story:
    """A developer's work whose CI still runs."""
    return story.to("development", waiting=Waiting.GATE).gate_pends("ci_green")


def test_a_push_by_a_person_is_looked_at(story: Story) -> None:
    waits_for_ci(story).push("b" * 40)
    assert (story.task.head, story.one(EvaluateGate).sha) == ("b" * 40, "b" * 40)
    assert story.again()


@pytest.mark.behaviour("SE-3")
def test_ci_that_says_the_same_again_or_speaks_of_another_commit_is_no_news(story: Story) -> None:
    waits_for_ci(story).ci_says("pending")
    assert story.commands == ["EvaluateGate"]
    assert story.again()
    assert story.ci_says(sha="d" * 40).last.ignored


@pytest.mark.behaviour("SE-3")
def test_an_older_word_of_ci_does_not_hide_a_newer_one(story: Story) -> None:
    waits_for_ci(story).ci_says("pending").ci_says("success").gate_pends("ci_green").gate_pends("ci_green")
    old = story.told[-4]
    assert story.again(old)
    story.ci_says("pending")
    assert story.commands == ["EvaluateGate"]


def test_ci_of_a_commit_nobody_waits_for_is_left_to_the_gate(story: Story) -> None:
    assert story.to("development").ci_says("failure").last.ignored


@pytest.mark.behaviour("SE-10")
@pytest.mark.parametrize("stage", ["review", "testing"])
def test_changes_requested_on_the_pull_request_go_to_development(story: Story, stage: str) -> None:
    story.to(stage).reviewed(text="Name it well.")
    assert story.where == ("development", "run")
    assert "Name it well." in story.one(StartRun).instructions
    assert story.again()


@pytest.mark.behaviour("SE-10")
def test_changes_requested_while_the_gate_is_looked_at_are_not_lost(story: Story) -> None:
    story.to("development", waiting=Waiting.GATE).reviewed()
    assert (story.where, story.task.budget.rollbacks) == (("development", "run"), {"development": 1})


@pytest.mark.behaviour("SE-3", "SE-10")
def test_a_review_sends_back_once_for_one_commit(story: Story) -> None:
    story.to("review").reviewed()
    said = story.told[-1]
    assert story.again(said), "the developer is at work"
    story.run_succeeds(head="").gate_passes()
    assert story.again(said), "known at this commit"
    assert story.run_succeeds(head="b" * 40).again(said), "about another commit"


@pytest.mark.behaviour("SE-3")
@pytest.mark.parametrize("review", [ReviewValue.APPROVED, ReviewValue.REJECTED])
def test_a_review_that_names_no_commit_is_no_news_at_any_head(story: Story, review: ReviewValue) -> None:
    assert waits_for_ci(story).reviewed(review, head_sha="").last.ignored == "it names no commit"


@pytest.mark.behaviour("SE-11")
def test_changes_requested_on_the_pull_request_are_capped_too(story: Story) -> None:
    for _ in range(3):
        assert story.to("review").reviewed().where == ("development", "run")
    assert story.to("review").reviewed().where == ("review", "person")


@pytest.mark.parametrize("review", [ReviewValue.COMMENTED, ReviewValue.APPROVED])
def test_a_review_that_asks_for_nothing_moves_nothing(story: Story, review: ReviewValue) -> None:
    assert story.to("review").reviewed(review).last.ignored


def test_an_approving_review_is_looked_at_when_the_gate_waits(story: Story) -> None:
    waits_for_ci(story).reviewed(ReviewValue.APPROVED)
    assert story.commands == ["EvaluateGate"]
    assert story.again()


def test_a_review_before_there_is_anything_to_review_moves_nothing(story: Story) -> None:
    assert story.to("architecture").reviewed().last.ignored


def test_a_pull_request_closed_without_a_merge_needs_a_person_and_a_late_copy_does_not_block_again(
    story: Story,
) -> None:
    story.to("review").pull_request(PullRequestAction.CLOSED)
    closed = story.told[-1]
    assert (story.where, story.task.status) == (("review", "person"), "blocked")
    assert story.again(closed)
    story.pull_request(PullRequestAction.REOPENED).retry()
    assert story.where == ("review", "run")
    assert story.again(closed)


def test_the_youngest_pull_request_of_the_branch_counts(story: Story) -> None:
    story.to("review").pull_request(PullRequestAction.OPENED, 7)
    assert story.task.pull_request == 7
    assert story.pull_request(PullRequestAction.CLOSED, 5).last.ignored
    story.pull_request(PullRequestAction.MERGED, 7)
    assert story.where == ("deploy", "run")
