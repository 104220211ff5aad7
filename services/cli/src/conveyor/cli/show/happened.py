"""One event in one line of plain English."""

from conveyor.contracts.events import (
    Actor,
    AnyEvent,
    BranchPushed,
    CommentAdded,
    CommitStatusChanged,
    DependencyChanged,
    EffectFinished,
    GateEvaluated,
    GateState,
    IssueChanged,
    IssueClosed,
    IssueStarted,
    Nudged,
    OperatorActed,
    Origin,
    PullRequestChanged,
    ReviewSubmitted,
    RunFinished,
    RunStarted,
    TimerFired,
    VerdictGiven,
)

TEXT_CHARS = 100
_SHA_CHARS = 10


def happened(event: AnyEvent) -> str:
    """Return what happened, told by whom where a person acted."""
    text = _of_people(event) or _of_work(event) or _of_forge(event)
    return f"{text} [{event.origin}]" if event.origin in (Origin.RECONCILER, Origin.OPERATOR) else text


def _of_people(event: AnyEvent) -> str:  # noqa: PLR0911 # one line an event
    who = _who(event.actor)
    match event:
        case IssueStarted():
            return f"issue started by {who}: {_short(event.title)}"
        case IssueChanged():
            return f"issue changed by {who}: {', '.join(event.fields) or 'its text'}"
        case VerdictGiven():
            return f"{event.verdict} by {who} ({event.via})" + (f": {_short(event.reason)}" if event.reason else "")
        case CommentAdded():
            return f"comment by {who}: {_short(event.text)}"
        case IssueClosed():
            return f"issue {event.how} by {who}"
        case OperatorActed():
            return f"{event.action} by {who}" + (f": {_short(event.reason)}" if event.reason else "")
        case _:
            return ""


def _of_work(event: AnyEvent) -> str:  # noqa: C901, PLR0911 # one line an event
    match event:
        case RunStarted():
            return f"run {event.run_id} taken by {event.runner_id}"
        case RunFinished(outcome=outcome):
            said = outcome.detail or outcome.summary
            verdict = f" {outcome.verdict}" if outcome.verdict else ""
            return f"run {event.run_id} {outcome.kind}{verdict}" + (f": {_short(said)}" if said else "")
        case GateEvaluated(results=results):
            failed = next((result for result in results if result.state is not GateState.PASSED), None)
            if failed is None:
                return f"gate {event.gate_id} passed"
            return f"gate {event.gate_id} {failed.state}: {failed.check}: {_short(failed.reason)}"
        case EffectFinished():
            return f"{event.effect} {'done' if event.succeeded else 'failed: ' + _short(event.reason)}"
        case Nudged():
            return f"nudged: {_short(event.reason)}"
        case DependencyChanged():
            return f"open dependencies: {', '.join(event.open_keys) or 'none'}"
        case TimerFired():
            return f"timer {event.timer} fired"
        case _:
            return ""


def _of_forge(event: AnyEvent) -> str:
    match event:
        case BranchPushed():
            return f"{event.branch} pushed to {event.sha[:_SHA_CHARS]} by {_who(event.actor)}"
        case CommitStatusChanged():
            return f"CI {event.context} {event.state} on {event.sha[:_SHA_CHARS]}"
        case PullRequestChanged():
            return f"pull request #{event.number} {event.action}"
        case ReviewSubmitted():
            said = f": {_short(event.text)}" if event.text else ""
            return f"review of #{event.number} {event.review} by {_who(event.actor)}{said}"
        case _:
            return type(event).__name__


def _who(actor: Actor | None) -> str:
    return (actor.name or actor.actor_id) if actor else "somebody"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= TEXT_CHARS else line[: TEXT_CHARS - 1].rstrip() + "…"
