"""Everything that can be told of a task as it stands: what fits, what is stale, what comes from nowhere."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from conveyor.contracts import events as e
from conveyor.contracts.events import (
    Actor,
    AnyEvent,
    CheckResult,
    CloseKind,
    GateState,
    OperatorAction,
    PullRequestAction,
    ReviewValue,
    Role,
    VerdictValue,
    Via,
)
from conveyor.contracts.outcomes import Outcome, OutcomeKind, OutcomeReason
from conveyor.contracts.pipeline import Pipeline
from conveyor.contracts.task import Task, Waiting
from tests.unit.stage_engine.story import ANNA, OPERATOR, event

GUS = Actor(actor_id="u-gus", name="gus", role=Role.GUEST)
OTHER_SHA = "9" * 40
PASSED, PENDING, REJECTED = GateState.PASSED, GateState.PENDING, GateState.REJECTED


class Letter(NamedTuple):
    """One event that can be told, and who tells it."""

    who: str
    """machine, person, forge or stale."""
    event: AnyEvent

    @property
    def kind(self) -> str:
        return type(self.event).__name__


def alphabet(pipeline: Pipeline, task: Task, now: datetime) -> Iterator[Letter]:
    """Yield every event type in every variant that differs for this task."""
    for who, tellers in (("machine", machines), ("person", people), ("forge", forge), ("stale", stale)):
        for told in tellers(pipeline, task, now):
            yield Letter(who, told)


def machines(pipeline: Pipeline, task: Task, now: datetime) -> Iterator[AnyEvent]:
    """What runners, gates, effects and timers report of what the task waits for, and nothing else."""
    match task.waiting:
        case Waiting.RUN:
            yield from run_ends(pipeline, task, now)
        case Waiting.GATE:
            yield from gate_answers(pipeline, task, now)
        case Waiting.EFFECT:
            yield from effect_ends(task, now)
        case Waiting.RETRY if task.run:
            yield event(e.TimerFired, now, timer="retry", run_id=task.run.run_id, revision=task.revision)
        case _:
            return


def run_ends(pipeline: Pipeline, task: Task, now: datetime) -> Iterator[AnyEvent]:
    run_id = task.run.run_id if task.run else ""
    if task.run and not task.run.runner_id:
        yield event(e.RunStarted, now, run_id=run_id, runner_id="runner-1")
    works = any(stage.opens_pull_request for stage in pipeline.stages[: pipeline.index(task.stage) + 1])
    for outcome in (
        Outcome(
            kind=OutcomeKind.SUCCEEDED,
            reason=OutcomeReason.FINISHED,
            head=f"{task.revision:040x}",
            changed=True,
            pull_request=(task.pull_request or 5) if works else 0,
        ),
        Outcome(kind=OutcomeKind.SUCCEEDED, reason=OutcomeReason.FINISHED),
        Outcome(kind=OutcomeKind.FAILED, reason=OutcomeReason.EXIT_CODE),
        Outcome(kind=OutcomeKind.TRANSIENT, reason=OutcomeReason.RATE_LIMITED),
        Outcome(kind=OutcomeKind.LOST, reason=OutcomeReason.RUNNER_DIED),
        Outcome(kind=OutcomeKind.CANCELLED, reason=OutcomeReason.BUDGET_SPENT),
    ):
        yield event(e.RunFinished, now, run_id=run_id, outcome=outcome)


def gate_answers(pipeline: Pipeline, task: Task, now: datetime) -> Iterator[AnyEvent]:
    stage, gate = pipeline.stage(task.stage), task.gate
    if stage is None or gate is None:
        return
    answers = [CheckResult(check=check, state=PASSED) for check in stage.gate]
    if "analysis_approved" not in stage.gate or gate.approved_by:
        yield event(e.GateEvaluated, now, gate_id=gate.gate_id, sha=task.head, results=tuple(answers))
    for place, check in enumerate(stage.gate):
        for state in states_of(check):
            if check == "analysis_approved" and gate.approved_by:
                continue
            found = CheckResult(check=check, state=state, reason=f"{check} {state}")
            yield event(e.GateEvaluated, now, gate_id=gate.gate_id, sha="", results=(*answers[:place], found))


def states_of(check: str) -> tuple[GateState, ...]:
    """What a check can say beside yes."""
    if check == "analysis_approved":
        return (PENDING,)
    if check == "analysis_complete":
        return (GateState.QUESTIONS, GateState.BROKEN)
    return (PENDING, REJECTED, GateState.BROKEN, GateState.FAILED)


def effect_ends(task: Task, now: datetime) -> Iterator[AnyEvent]:
    effect = "check_health" if task.merge_sha and not task.run else "merge"
    for succeeded in (True, False):
        yield event(
            e.EffectFinished, now, command_id=task.awaiting, effect=effect, succeeded=succeeded, reason="so it is"
        )


def people(_: Pipeline, task: Task, now: datetime) -> Iterator[AnyEvent]:
    yield event(e.IssueStarted, now, issue_id="i-1", title=task.title, actor=ANNA)
    yield event(e.IssueStarted, now, issue_id="i-1", title=task.title, depends_on=("SHOP-9",), actor=ANNA)
    yield event(e.IssueChanged, now, issue_id="i-1", title="Add more")
    yield event(e.IssueChanged, now, issue_id="i-1", title=task.title, depends_on=("SHOP-9",))
    yield event(e.IssueChanged, now, issue_id="i-1", title=task.title, depends_on=())
    for actor in (ANNA, GUS, None):
        for verdict in VerdictValue:
            yield event(e.VerdictGiven, now, verdict=verdict, via=Via.STATUS, actor=actor)
        yield event(e.CommentAdded, now, comment_id="c", text="Blue.", actor=actor)
    yield event(e.IssueClosed, now, how=CloseKind.CANCELLED)
    yield event(e.IssueClosed, now, how=CloseKind.COMPLETED)
    for action in OperatorAction:
        yield event(e.OperatorActed, now, action=action, actor=OPERATOR)


def forge(_: Pipeline, task: Task, now: datetime) -> Iterator[AnyEvent]:
    yield event(e.BranchPushed, now, branch=task.branch, sha=f"{now.timestamp():040.0f}")
    for state in ("success", "failure"):
        yield event(e.CommitStatusChanged, now, sha=task.head, context="build", state=state)
    for action in PullRequestAction:
        yield event(e.PullRequestChanged, now, number=task.pull_request or 5, action=action, head_sha=task.head)
    for review in ReviewValue:
        yield event(e.ReviewSubmitted, now, number=5, review=review, head_sha=task.head, actor=ANNA)
    yield event(e.Nudged, now, gate_id=task.gate.gate_id if task.gate else "none", reason="CI is green")
    yield event(e.DependencyChanged, now, depends_on=task.depends_on, open_keys=())
    yield event(e.DependencyChanged, now, depends_on=task.depends_on, open_keys=task.depends_on)
    yield event(e.DependencyChanged, now, depends_on=task.depends_on, open_keys=(), cycle=("SHOP-1", "SHOP-1"))


def stale(_: Pipeline, task: Task, now: datetime) -> Iterator[AnyEvent]:
    """What nobody waits for, or what was said before the task came here."""
    before = task.entered_at - timedelta(seconds=1)
    outcome = Outcome(kind=OutcomeKind.SUCCEEDED, reason=OutcomeReason.FINISHED)
    yield event(e.RunStarted, now, run_id="old", runner_id="runner-2")
    yield event(e.RunFinished, now, run_id="old", outcome=outcome)
    yield event(e.GateEvaluated, now, gate_id="old", sha="", results=())
    yield event(e.EffectFinished, now, command_id="old", effect="merge", succeeded=False)
    yield event(e.TimerFired, now, timer="retry", run_id="old", revision=1)
    yield event(e.Nudged, now, gate_id="old", reason="CI is green")
    yield event(e.DependencyChanged, now, depends_on=("SHOP-77",), open_keys=())
    yield event(e.BranchPushed, now, branch="feature/SHOP-2-other", sha=OTHER_SHA)
    yield event(e.CommitStatusChanged, now, sha=OTHER_SHA, context="build", state="failure")
    yield event(e.ReviewSubmitted, now, number=5, review=ReviewValue.REJECTED, head_sha=OTHER_SHA, actor=ANNA)
    yield event(e.PullRequestChanged, now, number=-1, action=PullRequestAction.MERGED, merge_sha=OTHER_SHA)
    yield event(e.IssueStarted, task.created_at, issue_id="i-1", title="Old", actor=ANNA)
    yield event(e.IssueChanged, task.created_at - timedelta(seconds=1), issue_id="i-1", title="Old")
    for verdict in VerdictValue:
        yield event(e.VerdictGiven, before, verdict=verdict, via=Via.STATUS, actor=ANNA)
    yield event(e.CommentAdded, before, comment_id="c", text="Old.", actor=ANNA)
