"""What a gate found, and how its answer moves the task: on, back, or to whom it waits for."""

from msgspec import structs

from conveyor.contracts.commands import CheckHealth, GateCause, Level
from conveyor.contracts.events import CheckResult, GateEvaluated, GateState, Nudged
from conveyor.contracts.pipeline import Pipeline
from conveyor.contracts.task import GateWatch, Task, Waiting
from conveyor.contracts.transition import Transition
from conveyor.stage_engine.core import moves, words
from conveyor.stage_engine.core.draft import Draft, ignore
from conveyor.stage_engine.core.runs import fail_attempt

ASKS_A_PERSON = frozenset({"analysis_approved", "review_approved"})
"""Checks that are pending until a person speaks; people are asked once."""
_TRACKER_DECIDES = frozenset({"analysis_complete", "analysis_approved"})
"""Checks whose answer comes from a person in the tracker, not from the forge."""
_PASSED = CheckResult(check="", state=GateState.PASSED)


def settle(pipeline: Pipeline, task: Task, event: GateEvaluated) -> Transition:
    """Take the answer of the evaluation that is out; any other is stale."""
    gate = task.gate
    if gate is None or task.waiting is not Waiting.GATE or gate.gate_id != event.gate_id:
        return ignore(task, f"stale gate {event.gate_id}")
    draft = Draft(pipeline, task, event)
    if gate.look_again:
        draft.note("something changed meanwhile: looks again")
        moves.evaluate(draft, gate.cause)
        return draft.finish()
    found = next((result for result in event.results if result.state is not GateState.PASSED), _PASSED)
    draft.note(f"gate of {task.stage}: {found.state}" + (f" ({found.check}: {found.reason})" if found.check else ""))
    draft.change(gate=structs.replace(gate, state=found.state, check=found.check, reason=_short(found.reason)))
    _act_on(draft, gate.cause, found)
    return draft.finish()


def _act_on(draft: Draft, cause: GateCause, found: CheckResult) -> None:
    match found.state:
        case GateState.PASSED:
            _pass(draft)
        case GateState.PENDING:
            _wait(draft, cause, found)
        case GateState.QUESTIONS:
            _ask(draft, cause, found)
        case GateState.REJECTED:
            _reject(draft, cause, found)
        case GateState.BROKEN:
            _mend(draft, cause, found)
        case GateState.FAILED:
            _stop(draft, found)


def _pass(draft: Draft) -> None:
    draft.change(escalation="")
    if draft.stage.monitor_s:
        command = draft.order(CheckHealth, window_s=draft.stage.monitor_s)
        moves.show(draft, "monitoring")
        draft.change(waiting=Waiting.EFFECT, awaiting=command.command_id)
    else:
        moves.advance(draft)


def _wait(draft: Draft, cause: GateCause, found: CheckResult) -> None:
    draft.change(waiting=_whom(draft, found))
    asks = found.check in ASKS_A_PERSON and not draft.task.is_escalated
    if asks and _announce(draft, found):
        moves.show(draft, "in_review")
        moves.comment(draft, words.ask_approval(draft.task.stage))
        moves.notify(draft, f"{draft.task.stage} is ready for approval.")
    elif cause is GateCause.PERSON:
        _tell_failure(draft, found)


def _ask(draft: Draft, cause: GateCause, found: CheckResult) -> None:
    draft.change(waiting=Waiting.ANSWER, escalation="")
    is_news = _announce(draft, found)
    gate = draft.task.gate
    if gate is not None and (is_news or gate.asked_at is None):
        draft.change(gate=structs.replace(gate, asked_at=draft.event.at))
    if is_news:
        moves.show(draft, "needs_input")
        moves.comment(draft, words.questions(found.evidence.get("questions", found.reason)))
        moves.notify(draft, "has questions.", Level.WARNING)
    elif cause is GateCause.PERSON:
        moves.show(draft, "needs_input")


def _reject(draft: Draft, cause: GateCause, found: CheckResult) -> None:
    edge = next((edge for edge in draft.stage.edges if edge.on == found.check), None)
    if cause in (GateCause.PERSON, GateCause.NUDGE):
        draft.change(waiting=_whom(draft, found))
        _tell_failure(draft, found)
    elif edge is None:
        moves.escalate(draft, f"{found.check} said no: {found.reason}")
    else:
        moves.roll_back(draft, edge, found.reason)
        if cause is GateCause.WEBHOOK and not draft.task.is_escalated:
            moves.notify(draft, words.gate_failed(draft.before.stage, found.reason), Level.WARNING)


def _mend(draft: Draft, cause: GateCause, found: CheckResult) -> None:
    if cause is not GateCause.AGENT:
        draft.change(waiting=_whom(draft, found))
        _tell_failure(draft, found)
    elif draft.stage.retry_broken:
        draft.change(instructions=_once_more(draft, found))
        fail_attempt(draft, f"Last: {found.reason}.")
    else:
        draft.change(waiting=Waiting.PERSON)
        _tell_failure(draft, found)


def _stop(draft: Draft, found: CheckResult) -> None:
    """Nobody could look: a person has to mend what is in the way; an operator's retry then looks again."""
    if draft.task.is_escalated:
        draft.change(waiting=Waiting.PERSON)
        _tell_failure(draft, found)
    else:
        moves.escalate(draft, f"the gate of {draft.task.stage} cannot be looked at: {found.reason}.")


def _once_more(draft: Draft, found: CheckResult) -> str:
    """Return what the next run must answer to: the last one's fault, below what it was asked for already."""
    asked = draft.task.instructions.split(words.NOT_ACCEPTED, 1)[0].rstrip()
    fault = words.clip(f"{words.NOT_ACCEPTED} {found.reason}", words.CONFLICT_CHARS)
    return f"{words.clip(asked, words.INSTRUCTION_CHARS - len(fault) - 2)}\n\n{fault}".lstrip()


def _whom(draft: Draft, found: CheckResult) -> Waiting:
    """Return who has to move next; a person's look at an escalated task that did not pass leaves it escalated."""
    escalated = draft.task.is_escalated or found.check in _TRACKER_DECIDES
    return Waiting.PERSON if escalated else Waiting.FACTS


def _tell_failure(draft: Draft, found: CheckResult) -> None:
    """Announce it, once; not after a nudge. The status a person set by hand gives way to what is so (SE-12, SE-13)."""
    cause = draft.task.gate.cause if draft.task.gate else GateCause.AGENT
    if cause is GateCause.PERSON:
        moves.show(draft, draft.task.status)
    if cause is not GateCause.NUDGE and _announce(draft, found):
        moves.comment(draft, words.gate_failed(draft.task.stage, found.reason))
        moves.notify(draft, words.gate_failed(draft.task.stage, found.reason), Level.WARNING)


def _announce(draft: Draft, found: CheckResult) -> bool:
    """Whether this has yet to be told; from now on it counts as told (SE-12)."""
    gate, told = draft.task.gate, _short(found.reason or found.check)
    if gate is None or gate.announced == told:
        return False
    draft.change(gate=structs.replace(gate, announced=told))
    return True


def _short(reason: str) -> str:
    return words.clip(reason, words.CONFLICT_CHARS)


def nudge(pipeline: Pipeline, task: Task, event: Nudged) -> Transition:
    """Look again, quietly: something the gate reads differs, or its last evaluation never came back (RC-4)."""
    gate = task.gate
    if task.is_escalated:
        return ignore(task, "escalated: a person has to act")
    if gate is None or task.waiting not in (Waiting.FACTS, Waiting.GATE):
        return ignore(task, f"nothing to look at while the task waits for {task.waiting or 'nothing'}")
    if gate.gate_id != event.gate_id:
        return ignore(task, "the gate was looked at since")
    draft = Draft(pipeline, task, event)
    draft.note(f"nudged: {event.reason}")
    moves.evaluate(draft, gate.cause if task.waiting is Waiting.GATE else GateCause.NUDGE)
    return draft.finish()


def look(draft: Draft, *, keeps_approval: bool = True) -> None:
    """Something the gate reads has changed: have it looked at, or looked at once more when an evaluation is out.

    An approval of other content than the gate will see is void, and people are asked again.
    """
    task = draft.task
    if task.gate is not None and task.gate.approved_by and not keeps_approval:
        draft.note(f"the approval by {task.gate.approved_by} was of an older commit")
        draft.change(gate=structs.replace(task.gate, approved_by="", announced=""))
        task = draft.task
    if task.waiting is Waiting.FACTS:
        moves.evaluate(draft, GateCause.WEBHOOK)
    elif task.waiting is Waiting.GATE and task.gate is not None:
        draft.change(gate=structs.replace(task.gate, look_again=True))


def watches(task: Task) -> GateWatch | None:
    """Return the gate while the task waits for it or for what it reads; else None."""
    return task.gate if task.waiting in (Waiting.FACTS, Waiting.GATE) else None
