"""What holds of any story: every event is answered, late copies change nothing, machines come to rest."""

from datetime import timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from conveyor.contracts import codec, ids
from conveyor.contracts.commands import StartRun
from conveyor.contracts.events import (
    AnyEvent,
    BranchPushed,
    CommentAdded,
    CommitStatusChanged,
    DependencyChanged,
    EffectFinished,
    IssueClosed,
    IssueStarted,
    OperatorActed,
    PullRequestChanged,
    ReviewSubmitted,
    VerdictGiven,
    VerdictValue,
)
from conveyor.contracts.pipeline import Pipeline
from conveyor.contracts.task import TERMINAL, Task, Waiting
from tests.unit.stage_engine.alphabet import alphabet, machines
from tests.unit.stage_engine.story import FIRST, Story, checked
from tests.unit.stage_engine.test_decide_walk import DEPENDING, MERGING, WATCHING

LINES = st.sampled_from([FIRST, MERGING, WATCHING, DEPENDING])
CHOICES = st.lists(st.integers(0, 10_000), min_size=5, max_size=60)
ENDINGS = frozenset({IssueClosed, OperatorActed, IssueStarted})
PERSONS = (VerdictGiven, CommentAdded, IssueStarted, IssueClosed, OperatorActed)


def tale(line: Pipeline, choices: list[int]) -> Story:
    """A story in which the next event is any that can be told; machines speak most, endings seldom."""
    story = Story(line).start()
    for choice in choices:
        story.now += timedelta(seconds=100)
        letters = [letter.event for letter in alphabet(line, story.task, story.now)]
        likely = [*machines(line, story.task, story.now)] or letters
        pool = likely if choice % 3 else [told for told in letters if choice % 5 == 0 or type(told) not in ENDINGS]
        story.tell(pool[choice // 15 % len(pool)])
    return story


@pytest.mark.behaviour("SE-1")
@settings(max_examples=150, deadline=None)
@given(LINES, CHOICES)
def test_any_event_in_any_state_is_answered_the_same_way_each_time(line: Pipeline, choices: list[int]) -> None:
    """Also: a revision more each time, commands named by it, bytes and back. `checked` holds every step to it."""
    story = tale(line, choices)
    names = [command.command_id for command in story.ordered]
    assert len(names) == len(set(names)), "no two commands of a task have one name"
    runs = [command.run_id for command in story.ordered if isinstance(command, StartRun)]
    assert len(runs) == len(set(runs)), "every attempt is a run of its own"
    assert all(run == ids.run_id("shop", "SHOP-1", int(run.rsplit("r", 1)[1])) for run in runs)


@pytest.mark.behaviour("SE-3")
@settings(max_examples=150, deadline=None)
@given(LINES, CHOICES, st.data())
def test_late_copies_anywhere_later_end_in_the_same_state(
    line: Pipeline, choices: list[int], data: st.DataObject
) -> None:
    """The same fact by webhook and by reconciler, with ids of their own, in any order after the first."""
    told = tale(line, choices).told
    straight, disturbed = Story(line), Story(line)
    copies: list[AnyEvent] = []
    for one in told:
        straight.tell(one)
        disturbed.tell(one)
        assert disturbed.task == straight.task
        if not disturbed.last.ignored or isinstance(one, PERSONS):
            copies.append(one)
        for copy in data.draw(st.lists(st.sampled_from(copies), max_size=3)) if copies else []:
            disturbed.tell(as_read_again(disturbed.task, renamed(copy)))
            assert disturbed.last.ignored or harmless(straight.task, disturbed), f"{type(copy).__name__} acted twice"
            disturbed._task = straight.task
    assert disturbed.task == straight.task


def renamed(copy: AnyEvent) -> AnyEvent:
    """The same fact as the other source tells it."""
    return structs.replace(copy, event_id=copy.event_id + "-again", delivery_id="another")


def as_read_again(task: Task, copy: AnyEvent) -> AnyEvent:
    """A push tells the branch's present commit: the engine reads it from the forge before it decides."""
    if isinstance(copy, BranchPushed):
        return structs.replace(copy, sha=task.head)
    return copy


def harmless(before: Task, told: Story) -> bool:
    """Whether a copy did no more than close a dependency that was closed already."""
    copy, after = told.told[-1], told.task
    return (
        isinstance(copy, DependencyChanged)
        and not copy.cycle
        and set(after.open_dependencies) <= set(before.open_dependencies)
    )


@pytest.mark.behaviour("SE-3")
@settings(max_examples=100, deadline=None)
@given(LINES, CHOICES)
def test_everything_told_once_more_at_the_end_changes_nothing(line: Pipeline, choices: list[int]) -> None:
    """What nobody had waited for when it was first told may be heard then: a look at the gate, a review."""
    story = tale(line, choices)
    heard_late = CommitStatusChanged | ReviewSubmitted | PullRequestChanged | DependencyChanged | EffectFinished
    for one in [*story.told]:
        if not isinstance(one, heard_late):
            assert story.again(as_read_again(story.task, one)), f"{type(one).__name__} acted late"


@pytest.mark.behaviour("SE-7")
@settings(max_examples=100, deadline=None)
@given(CHOICES, st.lists(st.integers(1, 80), max_size=6))
def test_one_verdict_never_approves_two_stages(choices: list[int], returns: list[int]) -> None:
    """Every stage of this line waits for a person; one approval is told again and again, under ever new ids."""
    line = structs.replace(
        FIRST,
        stages=tuple(
            structs.replace(stage, gate=("analysis_approved",), edges=(), entry="", documents=())
            for stage in FIRST.stages
        ),
    )
    story = Story(line).to("analysis", waiting=Waiting.PERSON).approve()
    verdict, approvals = story.told[-1], 1
    assert isinstance(verdict, VerdictGiven)
    for turn, choice in enumerate(choices):
        if turn in returns:
            assert story.tell(renamed(verdict)).last.ignored
        told = [one for one in machines(line, story.task, story.now + timedelta(seconds=100)) if choice % 7]
        story.now += timedelta(seconds=100)
        if told:
            story.tell(told[choice % len(told)])
        elif story.task.waiting is Waiting.PERSON and choice % 2:
            approvals += not story.approve(verdict=VerdictValue.APPROVED).last.ignored
    passed = len(line.stages) if story.task.stage == "done" else line.index(story.task.stage)
    assert passed <= approvals


@pytest.mark.behaviour("SE-11")
@settings(max_examples=150, deadline=None)
@given(LINES, st.randoms(use_true_random=False))
def test_machines_come_to_rest_when_no_person_acts(line: Pipeline, dice: Random) -> None:
    """However runs and gates turn out: the caps bound how often anything happens."""
    story = Story(line).start()
    for _ in range(400):
        story.now += timedelta(seconds=700)
        told = [one for one in machines(line, story.task, story.now) if type(one).__name__ != "RunStarted"]
        if not told:
            break
        story.tell(dice.choice(told))
    else:
        pytest.fail("it never came to rest")
    rests = {Waiting.PERSON, Waiting.ANSWER, Waiting.FACTS, Waiting.DEPENDENCY}
    assert story.task.waiting in rests or story.task.stage in TERMINAL
    assert all(used <= 3 for used in story.task.budget.rollbacks.values())


@pytest.mark.behaviour("SE-1")
@settings(max_examples=50, deadline=None)
@given(CHOICES)
def test_a_task_read_back_from_its_bytes_is_decided_alike(choices: list[int]) -> None:
    """Any engine that loads a task goes on as the one that wrote it."""
    story = tale(FIRST, choices)
    record = codec.TaskRecord(task=story.task, event=story.told[-1])
    loaded = codec.decode_record(codec.encode(record)).task
    for letter in alphabet(FIRST, story.task, story.now + timedelta(seconds=100)):
        assert checked(FIRST, loaded, letter.event) == checked(FIRST, story.task, letter.event)
