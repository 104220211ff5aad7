"""What people do: start, edit, approve, reject, answer, close, and what an operator asks for."""

from msgspec import structs

from conveyor.contracts.commands import CheckDependencies, EnsureBranch, GateCause, SetStatus
from conveyor.contracts.events import (
    CloseKind,
    CommentAdded,
    IssueChanged,
    IssueClosed,
    IssueStarted,
    OperatorActed,
    OperatorAction,
    VerdictGiven,
    VerdictValue,
)
from conveyor.contracts.ids import branch_name
from conveyor.contracts.pipeline import Pipeline
from conveyor.contracts.task import CANCELLED, CREATED, DONE, Budget, Task, Waiting
from conveyor.contracts.transition import Transition
from conveyor.stage_engine.core import moves, words
from conveyor.stage_engine.core.approvers import may_decide
from conveyor.stage_engine.core.draft import Draft, ignore

_BUSY = frozenset({Waiting.RUN, Waiting.RETRY})
_DECIDABLE = frozenset({Waiting.PERSON, Waiting.FACTS, Waiting.GATE, Waiting.ANSWER})


def begin(pipeline: Pipeline, event: IssueStarted) -> Transition:
    """Create the task, once: the engine writes it only where no task is (SE-5)."""
    task = Task(
        project=event.project,
        key=event.key,
        issue_id=event.issue_id,
        title=event.title,
        stage=CREATED,
        created_at=event.at,
        entered_at=event.at,
        branch=branch_name(event.key, event.title),
        last_human_at=event.at,
    )
    return _set_out(Draft(pipeline, task, event), event)


def _set_out(draft: Draft, event: IssueStarted) -> Transition:
    draft.order(EnsureBranch, branch=draft.task.branch)
    moves.comment(draft, words.begun(draft.task.branch))
    if event.depends_on:
        draft.note(f"depends on {', '.join(event.depends_on)}")
        draft.change(depends_on=event.depends_on, open_dependencies=event.depends_on, waiting=Waiting.DEPENDENCY)
        draft.order(CheckDependencies, depends_on=event.depends_on)
        moves.comment(draft, words.waits_for(event.depends_on))
    else:
        moves.enter(draft, draft.pipeline.stages[0])
    return draft.finish()


def start_again(pipeline: Pipeline, task: Task, event: IssueStarted) -> Transition:
    """The start status on a task that exists: resumes the analyst from Needs Input, takes up a cancelled task anew."""
    if task.stage == DONE:
        return ignore(task, "the task is done; open a new issue for more work")
    if task.stage == CANCELLED:
        if task.ended_at and event.at <= task.ended_at:
            return ignore(task, "started before it was cancelled")
        draft = Draft(pipeline, task, event)
        draft.note("taken up again")
        draft.change(
            stage=CREATED,
            title=event.title,
            ended_at=None,
            last_human_at=event.at,
            budget=Budget(),
            entered_at=event.at,
        )
        return _set_out(draft, event)
    if task.waiting is not Waiting.ANSWER:
        return ignore(task, f"already under way: {task.stage}, waiting for {task.waiting or 'nothing'}")
    if task.since and event.at <= task.since:
        return ignore(task, "started before the questions were asked")
    draft = Draft(pipeline, task, event)
    draft.change(last_human_at=event.at)
    moves.enter(draft, draft.stage)
    return draft.finish()


def change(pipeline: Pipeline, task: Task, event: IssueChanged) -> Transition:
    """Take over the new title and dependencies; the text itself is read by the next run (SE-19)."""
    depends_on = task.depends_on if event.depends_on is None else event.depends_on
    if event.title == task.title and depends_on == task.depends_on:
        return ignore(task, "nothing the pipeline keeps has changed; the next run reads the new text")
    draft = Draft(pipeline, task, event)
    draft.change(title=event.title)
    if depends_on != task.depends_on:
        draft.note(f"now depends on {', '.join(depends_on) or 'nothing'}")
        draft.order(CheckDependencies, depends_on=depends_on)
        draft.change(depends_on=depends_on)
    return draft.finish()


def judge(pipeline: Pipeline, task: Task, event: VerdictGiven) -> Transition:
    """A person's verdict, consumed once and only for the stage it was given in (SE-7)."""
    refused = _refusal(pipeline, task, event)
    if refused:
        return ignore(task, refused)
    draft = Draft(pipeline, task, event)
    who = event.actor.name or event.actor.actor_id if event.actor else ""
    draft.change(last_human_at=event.at)
    draft.note(f"{event.verdict} by {who}" + (f": {event.reason}" if event.reason else ""))
    if event.verdict is VerdictValue.APPROVED:
        moves.evaluate(draft, GateCause.PERSON, approved_by=who)
    else:
        _send_back(draft, event.reason or "rejected without a reason")
    return draft.finish()


def _refusal(pipeline: Pipeline, task: Task, event: VerdictGiven) -> str:
    if not may_decide(pipeline.approvers, event.actor):
        return "not one of the project's approvers"
    if task.last_human_at and event.at <= task.last_human_at:
        return "this verdict, or a later act, was already taken"
    if event.at < task.entered_at:
        return f"given before the task entered {task.stage}"
    if task.waiting in _BUSY:
        return "a run is under way; its result is judged first"
    if task.waiting not in _DECIDABLE:
        return f"there is nothing to judge while the task waits for {task.waiting or 'nothing'}"
    return ""


def _send_back(draft: Draft, reason: str) -> None:
    stage = draft.stage
    target = draft.pipeline.stage(stage.rejected_to) if stage.rejected_to else draft.pipeline.before(stage.name)
    if draft.task.merge_sha or target is None:
        moves.escalate(draft, f"rejected after the merge: {reason}")
    else:
        moves.enter(draft, target, instructions=reason)


def answer(pipeline: Pipeline, task: Task, event: CommentAdded) -> Transition:
    """A person's comment; in Needs Input it is the answer and resumes the agent."""
    if task.waiting is not Waiting.ANSWER:
        return ignore(task, "no question is open")
    if not may_decide(pipeline.approvers, event.actor):
        return ignore(task, "not one of the project's approvers")
    if task.since and event.at <= task.since:
        return ignore(task, "written before the questions were asked")
    draft = Draft(pipeline, task, event)
    draft.change(last_human_at=event.at)
    moves.enter(draft, draft.stage, instructions=f"The questions were answered:\n\n{event.text}")
    return draft.finish()


def close(pipeline: Pipeline, task: Task, event: IssueClosed) -> Transition:
    """A person ended the issue: the task ends with it (SE-19)."""
    draft = Draft(pipeline, task, event)
    draft.change(last_human_at=event.at)
    moves.end(draft, DONE if event.how is CloseKind.COMPLETED else CANCELLED, f"the issue was {event.how}")
    return draft.finish()


def operate(pipeline: Pipeline, task: Task, event: OperatorActed) -> Transition:
    """An operator's retry or cancel."""
    draft = Draft(pipeline, task, event)
    draft.change(last_human_at=event.at)
    match event.action:
        case OperatorAction.CANCEL:
            moves.cancel(draft, event.reason or "cancelled by an operator")
            return draft.finish()
        case OperatorAction.RETRY:
            if task.waiting in _BUSY:
                return ignore(task, "a run is under way; cancel the task or wait for its end")
            return _retry(draft)


def _retry(draft: Draft) -> Transition:
    draft.note("retried by an operator: caps and attempts begin anew")
    budget = structs.replace(draft.task.budget, rollbacks={}, failures=0, transients=0)
    draft.change(budget=budget, escalation="")
    if draft.task.stage == CREATED:
        draft.change(waiting=Waiting.DEPENDENCY)
        draft.order(CheckDependencies, depends_on=draft.task.depends_on)
        draft.order(SetStatus, issue_id=draft.task.issue_id, status="todo")
    else:
        moves.enter(draft, draft.stage, instructions=draft.task.instructions)
    return draft.finish()
