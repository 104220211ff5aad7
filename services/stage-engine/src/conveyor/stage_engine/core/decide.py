"""The one function that moves a task: `decide(pipeline, task, event)`; everything goes through it (SE-1)."""

from datetime import timedelta
from typing import assert_never

from conveyor.contracts.events import (
    AnyEvent,
    BranchPushed,
    CommentAdded,
    CommitStatusChanged,
    DependencyChanged,
    EffectFinished,
    GateEvaluated,
    IssueChanged,
    IssueClosed,
    IssueStarted,
    Nudged,
    OperatorActed,
    PullRequestChanged,
    ReviewSubmitted,
    RunFinished,
    RunStarted,
    TimerFired,
    VerdictGiven,
)
from conveyor.contracts.pipeline import Pipeline
from conveyor.contracts.task import CREATED, Task
from conveyor.contracts.transition import Transition
from conveyor.stage_engine.core import gates, people, runs, world
from conveyor.stage_engine.core.draft import ignore
from conveyor.stage_engine.core.orphans import block

FUTURE = timedelta(minutes=5)
"""How far a source's clock may be ahead of ours; an event from later than that is not believed."""


def decide(pipeline: Pipeline, task: Task | None, event: AnyEvent) -> Transition:
    """Return what this event makes of this task: the next task with the commands that follow, or why nothing does.

    Pure: the same three arguments always give the same answer, and any event is answered in any state.
    """
    if event.at - event.received_at > FUTURE:
        return ignore(task, f"from the future: {event.at:%Y-%m-%d %H:%M:%S} was received {event.received_at:%H:%M:%S}")
    if task is None:
        if isinstance(event, IssueStarted):
            return people.begin(pipeline, event)
        return ignore(None, "there is no such task")
    if refused := _is_past(task, event):
        return ignore(task, refused)
    if _is_orphan(pipeline, task) and not isinstance(event, IssueClosed | OperatorActed):
        return block(pipeline, task, event)
    return _decide(pipeline, task, event)


_TOLD = (
    IssueChanged
    | VerdictGiven
    | CommentAdded
    | IssueClosed
    | OperatorActed
    | BranchPushed
    | CommitStatusChanged
    | PullRequestChanged
    | ReviewSubmitted
)
"""What people and the forge tell; a late copy from a task's former life has no part in its present one."""


def _is_past(task: Task, event: AnyEvent) -> str:
    if task.is_over and not isinstance(event, IssueStarted):
        return f"the task is {task.stage}"
    if isinstance(event, _TOLD) and task.ended_at and event.at <= task.created_at:
        return f"from before the task was taken up again at {task.created_at:%Y-%m-%d %H:%M:%S}"
    return ""


def _is_orphan(pipeline: Pipeline, task: Task) -> bool:
    return not task.is_over and task.stage != CREATED and pipeline.stage(task.stage) is None


def _decide(pipeline: Pipeline, task: Task, event: AnyEvent) -> Transition:  # noqa: C901, PLR0911, PLR0912 # one line an event
    match event:
        case IssueStarted():
            return people.start_again(pipeline, task, event)
        case IssueChanged():
            return people.change(pipeline, task, event)
        case VerdictGiven():
            return people.judge(pipeline, task, event)
        case CommentAdded():
            return people.answer(pipeline, task, event)
        case IssueClosed():
            return people.close(pipeline, task, event)
        case OperatorActed():
            return people.operate(pipeline, task, event)
        case RunStarted():
            return runs.begin(pipeline, task, event)
        case RunFinished():
            return runs.finish(pipeline, task, event)
        case TimerFired():
            return runs.wake(pipeline, task, event)
        case GateEvaluated():
            return gates.settle(pipeline, task, event)
        case Nudged():
            return gates.nudge(pipeline, task, event)
        case BranchPushed():
            return world.push(pipeline, task, event)
        case CommitStatusChanged():
            return world.status(pipeline, task, event)
        case PullRequestChanged():
            return world.pull_request(pipeline, task, event)
        case ReviewSubmitted():
            return world.review(pipeline, task, event)
        case EffectFinished():
            return world.effect(pipeline, task, event)
        case DependencyChanged():
            return world.dependencies(pipeline, task, event)
        case _:
            assert_never(event)
