"""The life of a task on a good day, event by event: each of them changes the task, from the start to done.

The engine's own `decide` says what the task waits for next, so that the events fit whatever pipeline there is.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from msgspec import structs

from conveyor.contracts.events import (
    AnyEvent,
    EffectFinished,
    GateEvaluated,
    IssueStarted,
    Origin,
    RunFinished,
    RunStarted,
)
from conveyor.contracts.ids import digest
from conveyor.contracts.outcomes import Outcome, OutcomeKind, OutcomeReason, Usage
from conveyor.contracts.pipeline import Pipeline
from conveyor.contracts.task import Task, Waiting
from conveyor.stage_engine.core.decide import decide

TITLE = "Show the delivery date in the customer's time zone"


def good_day(pipeline: Pipeline, project: str, key: str, at: datetime) -> Iterator[AnyEvent]:
    """Yield the events that carry one task from its start to done, one transition each."""
    task: Task | None = None
    while task is None or not task.is_over:
        at += timedelta(seconds=1)
        revision = task.revision if task else 0
        common = {
            "event_id": digest(project, key, str(revision)),
            "project": project,
            "key": key,
            "at": at,
            "received_at": at,
            "source": "benchmark",
            "origin": Origin.RUNNER,
            "trace_id": digest(project, key)[:16],
        }
        event = _next(task, common)
        transition = decide(pipeline, task, event)
        if transition.ignored or transition.task is None:
            raise RuntimeError(f"{key} stands still at {task}: {transition.ignored}")
        task = structs.replace(transition.task, cursor=0)
        yield event


def _next(task: Task | None, common: dict[str, Any]) -> AnyEvent:
    if task is None:
        return IssueStarted(**common, issue_id=digest(common["key"]), title=TITLE)
    match task.waiting:
        case Waiting.RUN if task.run and not task.run.runner_id:
            return RunStarted(**common, run_id=task.run.run_id, runner_id="runner-1")
        case Waiting.RUN if task.run:
            return RunFinished(**common, run_id=task.run.run_id, outcome=_outcome(task, common["event_id"]))
        case Waiting.GATE if task.gate:
            return GateEvaluated(**common, gate_id=task.gate.gate_id, sha=task.head, results=())
        case Waiting.EFFECT:
            return EffectFinished(
                **common,
                command_id=task.awaiting,
                effect="merge",
                succeeded=True,
                result={"merge_sha": digest(task.head)},
            )
        case _:
            raise RuntimeError(f"{task.key} waits for {task.waiting}, which is no good day")


def _outcome(task: Task, word: str) -> Outcome:
    return Outcome(
        kind=OutcomeKind.SUCCEEDED,
        reason=OutcomeReason.FINISHED,
        head=digest(word),
        changed=True,
        pull_request=1,
        verdict="SUCCESS",
        summary="Everything that was asked for is done; the documents say how.",
        usage=Usage(input_tokens=1200, output_tokens=340, cost_usd=0.02),
        session_id=digest(task.key, "session"),
        log_subject=f"log.{task.project}.{task.key}.{task.run.run_id if task.run else ''}",
    )
