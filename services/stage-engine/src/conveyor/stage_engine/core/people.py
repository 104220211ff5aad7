"""What people do: start, edit, approve, reject, answer, close, and what an operator asks for."""

from msgspec import structs

from conveyor.contracts.commands import CheckDependencies, EnsureBranch, GateCause
from conveyor.contracts.events import (
    CloseKind,
    CommentAdded,
    GateState,
    IssueChanged,
    IssueClosed,
    IssueStarted,
    OperatorActed,
    OperatorAction,
    VerdictGiven,
    VerdictValue,
)
from conveyor.contracts.ids import branch_name
from conveyor.contracts.pipeline import MERGE, Pipeline
from conveyor.contracts.task import CANCELLED, CREATED, DONE, Task, Waiting
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
        edited_at=event.at,
        last_human_at=event.at,
    )
    return _set_out(Draft(pipeline, task, event), event)


def _set_out(draft: Draft, event: IssueStarted) -> Transition:
    draft.order(EnsureBranch, branch=draft.task.branch)
    moves.comment(draft, words.begun(draft.task.branch))
    draft.change(depends_on=event.depends_on, open_dependencies=event.depends_on)
    if event.depends_on:
        draft.note(f"depends on {', '.join(event.depends_on)}")
        draft.change(waiting=Waiting.DEPENDENCY)
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
        return _take_up(pipeline, task, event)
    refused = _no_answer(task, event)
    if refused:
        return ignore(task, f"{refused}; {task.stage} waits for {task.waiting or 'nothing'}")
    draft = Draft(pipeline, task, event)
    _hear(draft)
    moves.enter(draft, draft.stage)
    return draft.finish()


def _take_up(pipeline: Pipeline, task: Task, event: IssueStarted) -> Transition:
    """Begin anew: what it cost stays counted, what its former life knew of the forge does not."""
    draft = Draft(pipeline, task, event)
    draft.note("taken up again")
    draft.change(
        stage=CREATED,
        title=event.title,
        created_at=event.at,
        entered_at=event.at,
        edited_at=event.at,
        budget=structs.replace(task.budget, rollbacks={}, failures=0, transients=0, idle={}),
        pull_request=0,
        merge_sha="",
        facts={},
        facts_at={},
        session_ids={},
    )
    _hear(draft)
    return _set_out(draft, event)


def _hear(draft: Draft) -> None:
    """A person's act is consumed: it and older ones count no more."""
    last = draft.task.last_human_at
    draft.change(last_human_at=max(last, draft.event.at) if last else draft.event.at)


def _no_answer(task: Task, event: CommentAdded | IssueStarted) -> str:
    """Why this answers no question; questions stay open while a person's look at the gate is out."""
    asked_at = task.gate.asked_at if task.gate else None
    if asked_at is None or task.waiting not in (Waiting.ANSWER, Waiting.GATE):
        return "no question is open"
    return "said before the questions were asked" if event.at <= asked_at else ""


def change(pipeline: Pipeline, task: Task, event: IssueChanged) -> Transition:
    """Take over the new title and dependencies; the text itself is read by the next run (SE-19)."""
    depends_on = task.depends_on if event.depends_on is None else event.depends_on
    if task.edited_at and event.at < task.edited_at:
        return ignore(task, "older than what is known of the issue")
    if event.title == task.title and depends_on == task.depends_on:
        return ignore(task, "nothing the pipeline keeps has changed; the next run reads the new text")
    draft = Draft(pipeline, task, event)
    draft.change(title=event.title, edited_at=event.at)
    if event.title != task.title:
        draft.note(f"is now called: {event.title}")
    if depends_on != task.depends_on:
        _depend_on(draft, depends_on)
    return draft.finish()


def _depend_on(draft: Draft, depends_on: tuple[str, ...]) -> None:
    """Depend on these from now on; each new one counts as open until it was looked at."""
    task = draft.task
    still_open = tuple(key for key in depends_on if key in task.open_dependencies or key not in task.depends_on)
    draft.note(f"now depends on {', '.join(depends_on) or 'nothing'}")
    draft.order(CheckDependencies, depends_on=depends_on)
    draft.change(depends_on=depends_on, open_dependencies=still_open)


def judge(pipeline: Pipeline, task: Task, event: VerdictGiven) -> Transition:
    """A person's verdict, consumed once and only for the stage it was given in (SE-7)."""
    refused = _refusal(pipeline, task, event)
    if refused:
        return ignore(task, refused)
    draft = Draft(pipeline, task, event)
    who = event.actor.name or event.actor.actor_id if event.actor else ""
    _hear(draft)
    draft.note(f"{event.verdict} by {who}" + (f": {event.reason}" if event.reason else ""))
    if event.verdict is VerdictValue.REJECTED:
        _send_back(draft, event.reason or "rejected without a reason")
    elif draft.stage.entry == MERGE and not task.merge_sha:
        moves.enter(draft, draft.stage)
    else:
        moves.evaluate(draft, _cause(task), approved_by=who)
    return draft.finish()


def _cause(task: Task) -> GateCause:
    """Return why the gate is looked at: an approval that overtakes an evaluation takes no rollback away from it."""
    overtakes = task.waiting is Waiting.GATE and task.gate is not None and task.gate.cause is not GateCause.NUDGE
    return task.gate.cause if overtakes and task.gate is not None else GateCause.PERSON


def _refusal(pipeline: Pipeline, task: Task, event: VerdictGiven) -> str:
    if not may_decide(pipeline.approvers, event.actor):
        return "not one of the project's approvers"
    if task.last_human_at and event.at <= task.last_human_at:
        return "this verdict, or a later act, was already taken"
    if event.at < (task.delivered_at or task.entered_at):
        return f"given before {task.stage} had anything to judge"
    if task.waiting not in _DECIDABLE or task.stage == CREATED:
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
    refused = _no_answer(task, event)
    if not refused and not may_decide(pipeline.approvers, event.actor):
        refused = "not one of the project's approvers"
    if refused:
        return ignore(task, refused)
    draft = Draft(pipeline, task, event)
    _hear(draft)
    moves.enter(draft, draft.stage, instructions=f"Answer to the questions:\n\n{event.text}")
    return draft.finish()


def close(pipeline: Pipeline, task: Task, event: IssueClosed) -> Transition:
    """A person ended the issue: the task ends with it (SE-19)."""
    draft = Draft(pipeline, task, event)
    moves.end(draft, DONE if event.how is CloseKind.COMPLETED else CANCELLED, f"the issue was {event.how}")
    draft.change(status=draft.task.stage)
    return draft.finish()


def operate(pipeline: Pipeline, task: Task, event: OperatorActed) -> Transition:
    """An operator's retry or cancel."""
    draft = Draft(pipeline, task, event)
    match event.action:
        case OperatorAction.CANCEL:
            moves.cancel(draft, event.reason or "cancelled by an operator")
            return draft.finish()
        case OperatorAction.RETRY:
            refused = _no_retry(pipeline, task, event)
            return ignore(task, refused) if refused else _retry(draft)


def _no_retry(pipeline: Pipeline, task: Task, event: OperatorActed) -> str:
    if task.last_human_at and event.at <= task.last_human_at:
        return "this retry, or a later act, was already taken"
    if task.delivered_at and event.at < task.delivered_at:
        return "asked for before the last run ended"
    if task.waiting in _BUSY:
        return "a run is under way; cancel the task or wait for its end"
    if task.stage != CREATED and pipeline.stage(task.stage) is None:
        return words.no_such_stage(pipeline.name, task.stage)
    return ""


def _retry(draft: Draft) -> Transition:
    draft.note("retried by an operator: caps and attempts begin anew")
    budget = structs.replace(draft.task.budget, rollbacks={}, failures=0, transients=0, idle={})
    gate = draft.task.gate if draft.task.is_escalated else None
    draft.change(budget=budget, escalation="")
    _hear(draft)
    if gate is not None and gate.state is GateState.FAILED:
        moves.show(draft, draft.stage.status or draft.stage.name)
        moves.evaluate(draft, GateCause.AGENT)
    elif draft.task.stage == CREATED:
        draft.change(waiting=Waiting.DEPENDENCY)
        draft.order(CheckDependencies, depends_on=draft.task.depends_on)
        moves.show(draft, "todo")
    else:
        target = draft.pipeline.stage(draft.task.retry_stage) or draft.stage
        moves.enter(draft, target, instructions=draft.task.instructions)
    return draft.finish()
