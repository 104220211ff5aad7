"""A task whose stage was taken out of its pipeline while it stood there: it stops, loudly, once."""

from conveyor.contracts.events import AnyEvent, EffectFinished, GateEvaluated, RunFinished, TimerFired
from conveyor.contracts.pipeline import Pipeline
from conveyor.contracts.task import Task
from conveyor.contracts.transition import Transition
from conveyor.stage_engine.core import moves, words
from conveyor.stage_engine.core.draft import Draft, ignore

_AWAITED = RunFinished | GateEvaluated | EffectFinished | TimerFired


def block(pipeline: Pipeline, task: Task, event: AnyEvent) -> Transition:
    """Block the task when what it waited for comes, since it would be lost; any other event changes nothing."""
    reason = words.no_such_stage(pipeline.name, task.stage)
    if task.is_escalated or not isinstance(event, _AWAITED):
        return ignore(task, reason)
    draft = Draft(pipeline, task, event)
    moves.escalate(draft, f"{reason}.")
    return draft.finish()
