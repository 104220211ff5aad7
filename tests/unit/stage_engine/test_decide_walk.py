"""Every state that small pipelines can reach, each told everything: no dead end, no endless loop, twice is once."""

from collections import deque
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import pytest
from msgspec import Struct, structs

from conveyor.contracts.pipeline import MERGE, Edge, Pipeline, Stage
from conveyor.contracts.pipeline_check import problems_of
from conveyor.contracts.task import DONE, TERMINAL, Task, Waiting
from conveyor.stage_engine.core.decide import decide
from tests.unit.stage_engine.alphabet import Letter, alphabet
from tests.unit.stage_engine.story import BEGIN, FIRST, Story, checked

STEP = timedelta(seconds=100)


def pipeline(name: str, *stages: Stage) -> Pipeline:
    """A pipeline with the smallest budgets that still differ."""
    return Pipeline(name=name, stages=stages, rework_cap=1, failure_attempts=2, transient_attempts=2)


ASKING = pipeline(
    "asking",
    Stage(name="analysis", role="a", gate=("analysis_complete", "analysis_approved"), retry_broken=False),
    Stage(
        name="work", status="development", role="w", gate=("ci_green",), edges=(Edge(on="ci_green", to="work", cap=1),)
    ),
)
MERGING = pipeline(
    "merging",
    Stage(name="work", status="development", role="w", gate=("has_changes",), opens_pull_request=True),
    Stage(
        name="review",
        status="code_review",
        role="r",
        gate=("tests_local",),
        edges=(Edge(on="tests_local", to="work", cap=1),),
    ),
    Stage(
        name="ship",
        status="deploying",
        role="s",
        gate=("healthy",),
        entry=MERGE,
        edges=(Edge(on="merge", to="work", cap=1),),
    ),
)
WATCHING = pipeline(
    "watching",
    Stage(
        name="work",
        status="development",
        role="w",
        gate=("review_approved",),
        opens_pull_request=True,
        rejected_to="work",
    ),
    Stage(name="ship", status="deploying", role="s", gate=("healthy",), entry=MERGE, monitor_s=60),
)
WHOLE = structs.replace(
    FIRST,
    stages=tuple(
        structs.replace(stage, edges=tuple(structs.replace(edge, cap=1) for edge in stage.edges))
        for stage in FIRST.stages
    ),
    rework_cap=1,
    transient_attempts=2,
)
DEPENDING = pipeline(
    "depending",
    Stage(name="work", status="development", role="w", gate=("command",), opens_pull_request=True),
    Stage(name="ship", status="deploying", role="s", gate=("healthy",), entry=MERGE),
)
SMALL = [ASKING, MERGING, WATCHING, DEPENDING]
ALL = [*SMALL, WHOLE]
pipelines = pytest.mark.parametrize("line", ALL, ids=lambda line: line.name)
small_pipelines = pytest.mark.parametrize("line", SMALL, ids=lambda line: line.name)


_TRIES = frozenset({Waiting.RUN, Waiting.RETRY, Waiting.GATE, Waiting.DEPENDENCY})


def essence(task: Task) -> Any:
    """What of a task matters for what it will do: no ids, no times, no texts, no counts that nothing reads any more."""
    if task.is_over:
        return task.stage
    gate, circled = task.gate, task.escalation.startswith("its dependencies")
    tried = task.waiting in _TRIES or circled
    return (
        (task.stage, task.waiting, task.is_escalated, circled),
        gate and (gate.cause, gate.look_again, bool(gate.approved_by), bool(gate.asked_at)),
        (bool(task.head), bool(task.pull_request), bool(task.merge_sha)),
        (*sorted(task.budget.rollbacks.items()), *((task.budget.failures, task.budget.transients) if tried else ())),
        (*task.depends_on, "|", *task.open_dependencies),
        (*sorted(task.facts.items()),),
    )


class Map(Struct):
    """The reachable states and what leads from one to another."""

    tasks: dict[Any, Task]
    nows: dict[Any, datetime]
    ways: dict[Any, list[tuple[Letter, Any]]]
    repeats: list[str]


@cache
def explored(name: str) -> Map:
    """Walk breadth first over everything that can be told, from the start."""
    line = next(line for line in ALL if line.name == name)
    found = Map({}, {}, {}, [])
    begun = Story(line).start().task
    queue = deque([(begun, BEGIN + STEP)])
    found.tasks[essence(begun)], found.nows[essence(begun)] = queue[0]
    while queue:
        task, now = queue.popleft()
        here = essence(task)
        found.ways[here] = []
        for letter in alphabet(line, task, now):
            if not is_told(line, letter):
                continue
            after = decide(line, task, letter.event)
            if after.ignored or after.task is None:
                continue
            there = essence(after.task)
            found.ways[here].append((letter, there))
            if not decide(line, after.task, letter.event).ignored:
                found.repeats.append(f"{here}: {letter.kind}")
            if there not in found.tasks:
                checked(line, task, letter.event)
                found.tasks[there], found.nows[there] = after.task, now + STEP
                queue.append((after.task, now + STEP))
    return found


_SETTLED = {"IssueClosed", "OperatorActed", "VerdictGiven", "Nudged"}
TOLD: dict[str, set[str]] = {
    "asking": {*_SETTLED, "CommentAdded", "IssueStarted", "BranchPushed", "CommitStatusChanged"},
    "merging": {*_SETTLED, "PullRequestChanged", "ReviewSubmitted", "BranchPushed", "IssueStarted"},
    "watching": {*_SETTLED, "PullRequestChanged", "ReviewSubmitted", "BranchPushed"},
    "depending": {*_SETTLED, "IssueStarted", "IssueChanged", "DependencyChanged"},
    "default": {*_SETTLED, "CommentAdded"},
}
"""What people and the forge tell in each walk. Machines and what is stale speak in all; each kind speaks in one."""


def is_told(line: Pipeline, letter: Letter) -> bool:
    """Whether this walk tells this."""
    return letter.who == "machine" or (letter.who == "stale" and line is not WHOLE) or letter.kind in TOLD[line.name]


@pipelines
def test_the_pipeline_may_be_loaded(line: Pipeline) -> None:
    assert [*problems_of(line)] == []


@pytest.mark.behaviour("SE-1")
@pipelines
def test_every_event_is_answered_in_every_reachable_state(line: Pipeline) -> None:
    """Walking raised nothing; states of every kind were seen."""
    seen = explored(line.name)
    waits = {task.waiting for task in seen.tasks.values()}
    assert {Waiting.RUN, Waiting.RETRY, Waiting.GATE, Waiting.PERSON, Waiting.NOTHING} <= waits
    assert {task.stage for task in seen.tasks.values()} >= {stage.name for stage in line.stages} | TERMINAL
    assert len(seen.tasks) > 400
    assert sum(map(len, seen.ways.values())) > 4000


@pytest.mark.behaviour("SE-3")
@pipelines
def test_twice_is_once_in_every_reachable_state(line: Pipeline) -> None:
    assert explored(line.name).repeats == []


@pytest.mark.behaviour("SE-1")
@pipelines
def test_from_every_state_the_task_can_still_be_done(line: Pipeline) -> None:
    """No dead end, even if nobody cancels it or closes its issue."""
    seen = explored(line.name)
    back: dict[Any, list[Any]] = {}
    for here, ways in seen.ways.items():
        for letter, there in ways:
            if letter.kind != "IssueClosed":
                back.setdefault(there, []).append(here)
    reached = {key for key, task in seen.tasks.items() if task.stage == DONE}
    queue = deque(reached)
    while queue:
        for before in back.get(queue.popleft(), []):
            if before not in reached:
                reached.add(before)
                queue.append(before)
    lost = [key for key, task in seen.tasks.items() if key not in reached and task.stage not in TERMINAL]
    assert lost == []


@pytest.mark.behaviour("SE-11")
@pipelines
def test_machines_alone_never_go_in_a_circle(line: Pipeline) -> None:
    """Every loop of runs and gates is capped: what machines report leads to an end or to a person."""
    seen = explored(line.name)
    ahead = {
        here: {to for letter, to in ways if letter.who == "machine" and letter.kind != "RunStarted"}
        for here, ways in seen.ways.items()
    }
    waits_of = dict.fromkeys(ahead, 0)
    for ways in ahead.values():
        for there in ways:
            waits_of[there] += 1
    ends = deque(key for key, count in waits_of.items() if not count)
    ordered = 0
    while ends:
        ordered += 1
        for there in ahead[ends.popleft()]:
            waits_of[there] -= 1
            if not waits_of[there]:
                ends.append(there)
    assert ordered == len(ahead), "what is left over goes in a circle"


@pytest.mark.behaviour("SE-7", "SE-19")
@small_pipelines
def test_what_is_stale_moves_nothing(line: Pipeline) -> None:
    seen = explored(line.name)
    moved = [(here, letter.kind) for here, ways in seen.ways.items() for letter, _ in ways if letter.who == "stale"]
    assert moved == []


@pytest.mark.behaviour("SE-7")
@pipelines
def test_a_gate_that_a_person_must_open_is_never_passed_without_one(line: Pipeline) -> None:
    """Each step out of such a stage onwards is a gate that carried an approval, or a merge by hand."""
    seen = explored(line.name)
    for here, ways in seen.ways.items():
        task = seen.tasks[here]
        stage = line.stage(task.stage)
        if stage is None or "analysis_approved" not in stage.gate:
            continue
        for letter, there in ways:
            onwards = line.index(seen.tasks[there].stage) > line.index(task.stage)
            by_hand = letter.kind in {"PullRequestChanged", "IssueClosed", "OperatorActed"}
            assert not onwards or by_hand or (task.gate is not None and task.gate.approved_by)


@pytest.mark.behaviour("SE-13", "SE-11")
@small_pipelines
def test_the_status_shown_fits_what_the_task_waits_for(line: Pipeline) -> None:
    for task in explored(line.name).tasks.values():
        if task.is_escalated and task.waiting is Waiting.PERSON:
            assert task.status == "blocked", task
        elif task.waiting is Waiting.ANSWER:
            assert task.status == "needs_input", task
        elif task.is_over:
            assert task.status == task.stage, task
        elif task.waiting in (Waiting.RUN, Waiting.RETRY):
            stage = line.stage(task.stage)
            assert stage is not None
            assert task.status == (stage.status or stage.name), task


@pytest.mark.behaviour("SE-11", "SE-16")
@small_pipelines
def test_a_merged_task_goes_only_forward(line: Pipeline) -> None:
    seen = explored(line.name)
    for here, ways in seen.ways.items():
        task = seen.tasks[here]
        for letter, there in ways:
            if task.merge_sha and not task.is_over and seen.tasks[there].merge_sha:
                assert line.index(seen.tasks[there].stage) >= line.index(task.stage), letter.kind
