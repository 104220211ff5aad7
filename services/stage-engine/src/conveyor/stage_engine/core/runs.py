"""What runners report: a run began, a run ended; and the timer that lets a transient failure try again."""

from datetime import datetime, timedelta

from msgspec import structs

from conveyor.contracts.commands import ArmTimer, GateCause
from conveyor.contracts.events import RunFinished, RunStarted, TimerFired
from conveyor.contracts.ids import digest
from conveyor.contracts.outcomes import Outcome, OutcomeKind, OutcomeReason
from conveyor.contracts.pipeline import Pipeline
from conveyor.contracts.task import Run, Task, Waiting
from conveyor.contracts.transition import Transition
from conveyor.stage_engine.core import budgets, moves
from conveyor.stage_engine.core.draft import Draft, ignore

RETRY_TIMER = "retry"
_FOR_PEOPLE = {
    OutcomeReason.BUDGET_SPENT: "the budget is spent.",
    OutcomeReason.NO_PROGRESS: "the run got nowhere.",
}
"""How a run may end that must not be repeated by itself (RU-13)."""
PAUSE_SPREAD_S = 10.0
"""Runs that wait for the same limit do not all begin in the same second."""
JITTER = 0.1
"""At most this share is added to a transient delay, derived from the run's id."""


def begin(pipeline: Pipeline, task: Task, event: RunStarted) -> Transition:
    """Note who runs it and since when."""
    run = task.run
    if run is None or run.run_id != event.run_id or task.waiting is not Waiting.RUN:
        return ignore(task, f"stale run {event.run_id}")
    if run.runner_id == event.runner_id or (run.started_at and event.at <= run.started_at):
        return ignore(task, "already known")
    draft = Draft(pipeline, task, event)
    draft.change(run=structs.replace(run, runner_id=event.runner_id, started_at=event.at))
    draft.note(f"{run.role} runs on {event.runner_id}")
    return draft.finish()


def finish(pipeline: Pipeline, task: Task, event: RunFinished) -> Transition:
    """Take the one outcome of the current run; that of any other is ignored (rule 5)."""
    run, outcome = task.run, event.outcome
    if run is None or run.run_id != event.run_id or task.waiting is not Waiting.RUN:
        return ignore(task, f"stale run {event.run_id}: the current one is {run.run_id if run else 'none'}")
    draft = Draft(pipeline, task, event)
    draft.note(f"{run.role} {outcome.kind}" + (f": {outcome.detail}" if outcome.detail else ""))
    _take_over(draft, run, outcome)
    verdict = _verdict_of_command(draft, outcome)
    if verdict:
        draft.change(run=None, run_verdict=verdict)
        moves.evaluate(draft, GateCause.AGENT, run=run.run_id)
        return draft.finish()
    if outcome.reason in _FOR_PEOPLE:
        draft.change(run=None)
        moves.escalate(draft, f"{_FOR_PEOPLE[outcome.reason]} {_where(outcome)}")
        return draft.finish()
    match outcome.kind:
        case OutcomeKind.SUCCEEDED:
            draft.change(run=None)
            moves.evaluate(draft, GateCause.AGENT, run=run.run_id)
        case OutcomeKind.FAILED | OutcomeKind.TIMEOUT:
            fail_attempt(draft, _where(outcome))
        case OutcomeKind.TRANSIENT | OutcomeKind.LOST | OutcomeKind.CANCELLED:
            _wait_or_repeat(draft, run, outcome)
    return draft.finish()


def _verdict_of_command(draft: Draft, outcome: Outcome) -> str:
    """Return what a command of the user's says by its exit code, where the gate asks for it; else nothing (SE-8)."""
    if "command" not in draft.stage.gate or outcome.verdict:
        return ""
    if outcome.kind is OutcomeKind.SUCCEEDED:
        return "PASS"
    return "FAIL" if (outcome.kind, outcome.reason) == (OutcomeKind.FAILED, OutcomeReason.EXIT_CODE) else ""


def _take_over(draft: Draft, run: Run, outcome: Outcome) -> None:
    task = draft.task
    budget = structs.replace(
        task.budget,
        input_tokens=task.budget.input_tokens + outcome.usage.input_tokens,
        output_tokens=task.budget.output_tokens + outcome.usage.output_tokens,
        cost_usd=round(task.budget.cost_usd + outcome.usage.cost_usd, 6),
        idle=budgets.idle_after(task.budget, run.role, outcome),
    )
    sessions = {**task.session_ids, run.role: outcome.session_id} if outcome.session_id else task.session_ids
    moved = bool(outcome.head) and outcome.head != task.head
    draft.change(
        budget=budget,
        session_ids=sessions,
        head=outcome.head or task.head,
        facts={} if moved else task.facts,
        facts_at={} if moved else task.facts_at,
        delivered_at=draft.event.at,
        pull_request=outcome.pull_request or task.pull_request,
        changed=task.changed or outcome.changed,
        run_verdict=outcome.verdict,
    )


def fail_attempt(draft: Draft, why: str) -> None:
    """Use one failure attempt: again while the budget lasts, else a person has to look (RU-8)."""
    failures = draft.task.budget.failures + 1
    draft.change(run=None, budget=structs.replace(draft.task.budget, failures=failures))
    if failures >= draft.pipeline.failure_attempts:
        moves.escalate(draft, f"the {draft.stage.role} failed {failures} times. {why}")
    else:
        moves.start_run(draft)


def _where(outcome: Outcome) -> str:
    log = f" Its log: {outcome.log_subject}." if outcome.log_subject else ""
    return f"Last: {outcome.detail or outcome.reason}.{log}"


def _wait_or_repeat(draft: Draft, run: Run, outcome: Outcome) -> None:
    if resets_at := outcome.reset_after(draft.event.at):
        _pause(draft, run, resets_at)
        return
    transients = draft.task.budget.transients + 1
    draft.change(budget=structs.replace(draft.task.budget, transients=transients))
    if transients >= draft.pipeline.transient_attempts:
        draft.change(run=None)
        moves.escalate(draft, f"the {run.role} was stopped {transients} times from outside. {_where(outcome)}")
    elif outcome.kind is not OutcomeKind.TRANSIENT:
        draft.change(run=None)
        moves.start_run(draft)
    else:
        fires_at = draft.event.at + timedelta(
            seconds=transient_delay_s(draft.pipeline, transients, outcome, run.run_id)
        )
        draft.order(ArmTimer, timer=RETRY_TIMER, fires_at=fires_at, run_id=run.run_id)
        draft.change(waiting=Waiting.RETRY, run=structs.replace(run, not_before=fires_at))
        draft.note(f"tries again at {fires_at:%H:%M:%S}")


def _pause(draft: Draft, run: Run, until: datetime) -> None:
    """Wait until a used-up limit is full again; that is nobody's failure and burns no attempt (RU-9)."""
    fires_at = until + timedelta(seconds=PAUSE_SPREAD_S * _share(run.run_id))
    draft.order(ArmTimer, timer=RETRY_TIMER, fires_at=fires_at, run_id=run.run_id)
    why = f"the usage limit of agent {run.agent} is used up until {until:%Y-%m-%d %H:%M} UTC"
    draft.change(waiting=Waiting.RETRY, run=structs.replace(run, not_before=fires_at, paused=why))
    draft.note(f"paused: {why}")


def _share(run_id: str) -> float:
    """Return a number from 0 to 1 that derives from the run, so that deciding again gives the same answer."""
    return int(digest(run_id)[:8], 16) / 0xFFFFFFFF


def transient_delay_s(pipeline: Pipeline, count: int, outcome: Outcome, run_id: str) -> float:
    """Return the wait in seconds after the `count`th transient failure: 20, 40, 80 … capped, jitter on top (RU-8).

    A longer wait that the provider asked for wins, up to the cap. The jitter derives from the run's id, so that
    deciding again gives the same answer.
    """
    own = min(2.0**count * pipeline.transient_first_s, pipeline.transient_cap_s)
    asked = min(outcome.retry_after_s or 0.0, pipeline.transient_cap_s)
    return max(own, asked) * (1 + JITTER * _share(run_id))


def wake(pipeline: Pipeline, task: Task, event: TimerFired) -> Transition:
    """Try again after a transient failure; a timer for another run, or that fires twice, is ignored (rule 3)."""
    run = task.run
    if run is None or task.waiting is not Waiting.RETRY or run.run_id != event.run_id:
        return ignore(task, f"stale timer for run {event.run_id}")
    draft = Draft(pipeline, task, event)
    draft.change(run=None)
    moves.start_run(draft)
    return draft.finish()
