"""Tasks that stand still though their gate would pass: when to nudge, and who is never nudged (RC-4, RC-5)."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from conveyor.contracts.events import GateState, Nudged
from conveyor.contracts.ids import digest
from conveyor.contracts.observed import TrackerIssue, TrackerState
from conveyor.contracts.task import GateWatch, Task, Waiting
from conveyor.reconciler.core.carried import ENGINE, republished
from conveyor.reconciler.core.forge import ForgeView, latest_reviews
from conveyor.reconciler.core.look import TERMINAL_GROUPS

ANALYSIS = "analysis"
GUARDED = ("blocked", "needs_input", "awaiting_deploy", "deploying", "monitoring")
"""Statuses in which an issue waits for a person or for time, where the project has them as its own."""


class Stall(Struct, frozen=True, kw_only=True):
    """Why a gate should be looked at again."""

    gate_id: str
    reason: str
    fingerprint: str
    """What was seen, without the evaluation's id: the same sight is worth one nudge, however often it is evaluated."""


class Guard(Struct, frozen=True, kw_only=True):
    """What the tracker knows of an issue, for the guards that ask it."""

    issue: TrackerIssue | None
    states: tuple[TrackerState, ...]
    own: Mapping[str, str]
    """State id -> logical key, for the guarded statuses that this project has under their own name. A key that is
    shown by another's status is not in it: else every task in that status would count as waiting."""


def may_stall(task: Task, now: datetime, grace_s: float) -> bool:
    """Whether a nudge could be right for this task; local and free, so it comes before any call.

    Never: ended, escalated, analysis (a person's gate), at work, waiting for a person or for another task.
    """
    if task.is_over or task.is_escalated or task.stage == ANALYSIS or task.gate is None:
        return False
    if task.waiting not in (Waiting.FACTS, Waiting.GATE):
        return False
    return now - (task.since or task.entered_at) >= timedelta(seconds=grace_s)


def stalled(view: ForgeView) -> Stall | None:
    """Return why the gate would answer otherwise now; None while it would only say the same again."""
    task, gate = view.task, view.task.gate
    if gate is None:
        return None
    if task.waiting is Waiting.GATE:
        return Stall(
            gate_id=gate.gate_id,
            reason="its evaluation never came back",
            fingerprint=digest(task.project, task.key, gate.gate_id),
        )
    reason = _differs(view, gate)
    sight = digest(task.project, task.key, task.stage, task.head, gate.check, str(gate.state), reason)
    return Stall(gate_id=gate.gate_id, reason=reason, fingerprint=sight) if reason else None


def _differs(view: ForgeView, gate: GateWatch) -> str:
    """Return what the gate reads and a webhook would not tell, if it is no longer as its last evaluation saw it."""
    if gate.sha and view.task.head and gate.sha != view.task.head:
        return "it looked at an older commit"
    match gate.check:
        case "branch_mergeable" if view.pull and view.pull.is_open and view.pull.mergeable:
            return "the pull request can be merged by now"
        case "ci_green" if not view.project.ci:
            return "the project needs no CI any more"
        case "review_approved" if gate.state is GateState.REJECTED and not _is_against(view):
            return "nobody asks for changes any more"
        case _:
            return ""


def _is_against(view: ForgeView) -> bool:
    return any(review.verdict == "rejected" for review in latest_reviews(view).values())


def guarded(guard: Guard, now: datetime, grace_s: float) -> str:
    """Return why the issue must be left alone, or nothing. What cannot be known is a reason: skipping is safe."""
    issue = guard.issue
    if issue is None:
        return "the issue is gone"
    state = next((state for state in guard.states if state.state_id == issue.state_id), None)
    if state is None:
        return "its status is unknown"
    if key := guard.own.get(state.state_id):
        return f"its status is {key}"
    if state.group in TERMINAL_GROUPS:
        return "the issue has ended"
    if now - issue.updated_at < timedelta(seconds=grace_s):
        return "somebody touched the issue a moment ago"
    return ""


def nudge(task: Task, stall: Stall, now: datetime) -> Nudged:
    """Return the nudge: the engine looks at the gate, quietly."""
    name = digest("nudge", stall.fingerprint, stall.gate_id)
    return Nudged(
        project=task.project,
        key=task.key,
        at=now,
        gate_id=stall.gate_id,
        reason=stall.reason,
        **republished(name, ENGINE, now),
    )
