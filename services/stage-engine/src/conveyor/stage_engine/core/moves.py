"""How a task moves: enter a stage, start a run, look at the gate, go on, go back, stop and wait for a person, end."""

from msgspec import structs

from conveyor.contracts.commands import (
    CancelRun,
    DeleteBranch,
    EvaluateGate,
    GateCause,
    Level,
    Merge,
    Notify,
    PostComment,
    ReleaseDependents,
    SetStatus,
    StartRun,
)
from conveyor.contracts.ids import run_id
from conveyor.contracts.merge_queue import MERGING
from conveyor.contracts.pipeline import MERGE, Edge, Stage
from conveyor.contracts.task import CANCELLED, DONE, GateWatch, Run, Waiting
from conveyor.stage_engine.core import budgets, words
from conveyor.stage_engine.core.draft import Draft


def show(draft: Draft, status: str) -> None:
    """Show a logical status in the tracker."""
    draft.change(status=status)
    draft.order(SetStatus, issue_id=draft.task.issue_id, status=status)


def comment(draft: Draft, text: str) -> None:
    """Say something on the issue."""
    draft.order(PostComment, issue_id=draft.task.issue_id, text=text)


def notify(draft: Draft, text: str, level: Level = Level.INFO) -> None:
    """Tell people where they chat."""
    draft.order(Notify, issue_id=draft.task.issue_id, text=f"{draft.task.key}: {text}", level=level)


def enter(draft: Draft, stage: Stage, *, instructions: str = "", status: str = "") -> None:
    """Enter a stage, anew or again: fresh attempts, its entry effect if it has one, else its agent."""
    drop_run(draft, f"the task enters {stage.name}")
    draft.note(f"{draft.task.stage} → {stage.name}")
    draft.change(
        stage=stage.name,
        entered_at=draft.event.at,
        delivered_at=None,
        gate=None,
        awaiting="",
        changed=False,
        run_verdict="",
        escalation="",
        retry_stage="",
        instructions=words.clip(instructions, words.INSTRUCTION_CHARS),
        budget=structs.replace(draft.task.budget, failures=0, transients=0),
    )
    if stage.entry == MERGE and not draft.task.merge_sha:
        merge(draft)
    else:
        show(draft, status or stage.status or stage.name)
        start_run(draft)


def merge(draft: Draft) -> None:
    """Order the merge and wait for it; without a pull request there is nothing to merge and a person has to look."""
    task = draft.task
    if not task.pull_request or not task.head:
        escalate(draft, "there is no pull request to merge.")
        return
    show(draft, MERGING)
    command = draft.order(Merge, branch=task.branch, pull_request=task.pull_request, head=task.head)
    draft.change(waiting=Waiting.EFFECT, awaiting=command.command_id)


def start_run(draft: Draft) -> None:
    """Start the stage's agent, or wait without taking a slot while a dependency is open (SE-15).

    What was found and approved before is void: the run may change what it was about.
    """
    stage, task = draft.stage, draft.task
    draft.change(gate=None)
    if task.open_dependencies:
        draft.note(f"waits for {', '.join(task.open_dependencies)}")
        draft.change(waiting=Waiting.DEPENDENCY, run=None)
        return
    if reason := budgets.refusal(draft.pipeline, task.budget, stage.role):
        draft.change(run=None)
        escalate(draft, reason)
        return
    run = _order_run(draft, stage)
    draft.note(f"starts the {stage.role}" + (f", attempt {run.attempt}" if run.attempt > 1 else ""))
    draft.change(run=run, waiting=Waiting.RUN)


def _order_run(draft: Draft, stage: Stage) -> Run:
    task = draft.task
    run = Run(
        run_id=run_id(task.project, task.key, task.revision),
        role=stage.role,
        agent=draft.pipeline.agent_of(stage),
        attempt=1 + task.budget.failures + task.budget.transients,
    )
    draft.order(
        StartRun,
        run_id=run.run_id,
        stage=stage.name,
        role=run.role,
        agent=run.agent,
        attempt=run.attempt,
        issue_id=task.issue_id,
        title=task.title,
        branch=task.branch,
        pool=stage.pool,
        timeout_s=stage.timeout_s,
        docs_dir=draft.pipeline.documents_of(task.key),
        documents=stage.documents,
        clears=stage.verdicts,
        instructions=task.instructions,
        session_id=task.session_ids.get(stage.role, ""),
        opens_pull_request=stage.opens_pull_request,
        priority=stage.priority,
        update=stage.update,
        budgets=budgets.left(draft.pipeline, task.budget),
    )
    return run


def evaluate(draft: Draft, cause: GateCause, *, run: str = "", approved_by: str = "") -> None:
    """Have the stage's gate looked at and wait for the answer; an evaluation that is still out becomes void.

    What is judged and whose approval counts stay until the stage's agent runs again.
    """
    stage, task = draft.stage, draft.task
    last = task.gate or GateWatch(gate_id="", cause=cause)
    run, approved_by = run or last.run_id, approved_by or last.approved_by
    command = draft.order(
        EvaluateGate,
        stage=stage.name,
        checks=stage.gate,
        cause=cause,
        sha=task.head,
        branch=task.branch,
        issue_id=task.issue_id,
        docs_dir=draft.pipeline.documents_of(task.key),
        documents=stage.documents,
        pull_request=task.pull_request,
        run_id=run,
        run_verdict=task.run_verdict,
        run_changed=task.changed,
        approved_by=approved_by,
    )
    gate = GateWatch(
        gate_id=command.command_id,
        cause=cause,
        sha=task.head,
        announced=last.announced,
        run_id=run,
        approved_by=approved_by,
        asked_at=last.asked_at,
    )
    draft.change(waiting=Waiting.GATE, gate=gate)


def advance(draft: Draft) -> None:
    """Go on to the next stage, or end the task after the last."""
    following = draft.pipeline.after(draft.task.stage)
    if following is None:
        end(draft, DONE, "the last gate passed")
        show(draft, "done")
        comment(draft, words.done(draft.task))
        notify(draft, "done.")
        if draft.pipeline.deletes_branch and draft.task.merge_sha:
            draft.order(DeleteBranch, branch=draft.task.branch, head=draft.task.head)
    else:
        enter(draft, following)


def roll_back(draft: Draft, edge: Edge, reason: str) -> None:
    """Go back along an edge while its cap allows; at the cap, and after the merge, a person has to look (SE-11)."""
    task, target = draft.task, draft.pipeline.stage(edge.to)
    used = task.budget.rollbacks.get(edge.to, 0)
    if task.merge_sha or target is None:
        escalate(draft, f"{task.stage} failed after the merge: {reason}")
    elif used >= edge.cap:
        escalate(draft, f"sent back to {edge.to} {used} times, the cap. Last reason: {reason}")
        draft.change(retry_stage=edge.to, instructions=words.clip(reason, words.INSTRUCTION_CHARS))
    else:
        rollbacks = {**task.budget.rollbacks, edge.to: used + 1}
        draft.change(budget=structs.replace(task.budget, rollbacks=rollbacks))
        comment(draft, words.sent_back(task.stage, edge.to, reason, used + 1, edge.cap))
        draft.note(f"rolled back: {words.clip(reason, words.CONFLICT_CHARS)}")
        enter(draft, target, instructions=reason, status=edge.status)


def escalate(draft: Draft, reason: str) -> None:
    """Stop: status Blocked, one comment, one alert; nothing moves until a person acts who can know of it."""
    drop_run(draft, "the task is blocked")
    draft.note(f"blocked: {reason}")
    why = words.clip(reason, words.CONFLICT_CHARS)
    draft.change(waiting=Waiting.PERSON, escalation=why, awaiting="", delivered_at=draft.event.at)
    show(draft, "blocked")
    comment(draft, words.escalated(reason))
    notify(draft, words.escalated(reason), Level.ALERT)


def end(draft: Draft, stage: str, why: str) -> None:
    """End the task as done or cancelled: its run is stopped, those that wait for it are looked at again."""
    drop_run(draft, f"the task is {stage}")
    draft.note(f"{draft.task.stage} → {stage}: {why}")
    draft.change(
        stage=stage,
        entered_at=draft.event.at,
        ended_at=draft.event.at,
        waiting=Waiting.NOTHING,
        awaiting="",
        gate=None,
        instructions="",
        escalation="",
    )
    draft.order(ReleaseDependents)


def cancel(draft: Draft, why: str) -> None:
    """End the task as cancelled and show it."""
    end(draft, CANCELLED, why)
    show(draft, "cancelled")


def drop_run(draft: Draft, why: str) -> None:
    """Take the current run out of the task, stopping it when it may still be at work."""
    run = draft.task.run
    if run is None:
        return
    if draft.task.waiting is Waiting.RUN:
        draft.order(CancelRun, run_id=run.run_id, reason=why)
    draft.change(run=None)
