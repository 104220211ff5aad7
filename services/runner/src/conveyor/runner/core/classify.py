"""How a run ended to its outcome: by why we stopped it, then by what its output says, then by its exit code."""

from datetime import datetime
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from conveyor.contracts.outcomes import Outcome, OutcomeKind, OutcomeReason, Usage
from conveyor.runner.core.result_file import Result

DETAIL_CHARS = 500
_TRANSIENT = (OutcomeReason.RATE_LIMITED, OutcomeReason.OVERLOADED, OutcomeReason.NETWORK)
_STOPPED = {
    "limit": OutcomeReason.LIMIT_EXCEEDED,
    "budget": OutcomeReason.BUDGET_SPENT,
    "no_progress": OutcomeReason.NO_PROGRESS,
}


class Report(Protocol):
    """What the agent's own output says of the run, by whichever parser."""

    @property
    def ok(self) -> bool | None:
        """What the agent says of itself; None when it does not say."""

    @property
    def reason(self) -> OutcomeReason | None:
        """Why it ended so, where the output tells."""

    @property
    def is_transient(self) -> bool:
        """Whether the trouble is the provider's and passes."""

    @property
    def usage(self) -> Usage:
        """Tokens and cost."""

    @property
    def session_id(self) -> str:
        """The agent's session."""

    @property
    def summary(self) -> str:
        """Its last words."""

    @property
    def error(self) -> str:
        """What went wrong, in its words."""


class Ending(Struct, frozen=True, kw_only=True):
    """How the process ended, and what it left beside commits."""

    code: int | None
    """None when it never started."""
    stop: str = ""
    """Why we ended it: wall_time, idle_time, after_result, hopeless, limit, cancelled, shutdown; empty: it ended
    itself."""
    why: str = ""
    """More about the stop, where there is more to say."""
    launch_error: str = ""
    hint: OutcomeReason | None = None
    """The passing trouble that the end of its output, errors included, speaks of; None for none."""
    retry_after_s: float | None = None
    resets_at: datetime | None = None
    """When a used-up limit of the account is full again, as its provider says."""
    is_structured: bool = False
    """Whether its output format has a result line, so that the lack of one tells something."""
    result: Result | str = ""
    """The checked result file, or why there is none; empty when it left none."""


def classify(ending: Ending, report: Report) -> Outcome:
    """Return the outcome of a run, without what only the forge can say (head, change, pull request)."""
    outcome = _of_agent(ending, report)
    if isinstance(ending.result, str):
        note = ending.result if outcome.kind is OutcomeKind.SUCCEEDED else ""
        return replace(outcome, summary=report.summary, detail=outcome.detail or note)
    result = ending.result
    if outcome.kind is OutcomeKind.SUCCEEDED and result.has_failed and not result.verdict:
        outcome = _outcome(OutcomeKind.FAILED, OutcomeReason.AGENT_ERROR, result.summary or "the agent says it failed")
    return replace(
        _with(outcome, report),
        verdict=result.verdict,
        summary=result.summary or report.summary,
        findings=result.findings,
    )


def _of_agent(ending: Ending, report: Report) -> Outcome:
    if ending.launch_error:
        return _outcome(OutcomeKind.FAILED, OutcomeReason.LAUNCH_FAILED, ending.launch_error)
    return _with(_of_stop(ending, report) or _of_words(ending, report) or _of_code(ending, report), report)


def _of_stop(ending: Ending, report: Report) -> Outcome | None:
    match ending.stop:
        case "cancelled":
            return _outcome(OutcomeKind.CANCELLED, OutcomeReason.CANCELLED_BY_ENGINE, "stopped: no longer wanted")
        case "shutdown":
            return _outcome(OutcomeKind.CANCELLED, OutcomeReason.RUNNER_STOPPED, "stopped: its runner shuts down")
        case "limit" | "budget" | "no_progress" if ending.stop == "limit" or report.ok is not True:
            return _outcome(OutcomeKind.FAILED, _STOPPED[ending.stop], f"the agent was stopped: {ending.why}")
        case "hopeless":
            return _outcome(OutcomeKind.FAILED, OutcomeReason.AGENT_ERROR, report.error or "the agent cannot go on")
        case "wall_time" | "idle_time" if report.ok is not True:
            what = "took longer than it may" if ending.stop == "wall_time" else "printed nothing for too long"
            return _outcome(OutcomeKind.TIMEOUT, OutcomeReason(ending.stop), f"the agent {what} and was stopped")
    return None


def _of_words(ending: Ending, report: Report) -> Outcome | None:
    if report.ok is True:
        return _outcome(OutcomeKind.SUCCEEDED, OutcomeReason.FINISHED, "")
    if report.ok is None and not (report.is_transient and ending.code):
        return None
    if report.is_transient and report.reason is not None:
        return _transient(report.reason, ending, report)
    return _outcome(OutcomeKind.FAILED, report.reason or OutcomeReason.AGENT_ERROR, report.error)


def _of_code(ending: Ending, report: Report) -> Outcome:
    if ending.code == 0 and not ending.is_structured:
        return _outcome(OutcomeKind.SUCCEEDED, OutcomeReason.FINISHED, "")
    if ending.hint is not None:
        return _transient(ending.hint, ending, report)
    if ending.code == 0:
        return _outcome(OutcomeKind.FAILED, OutcomeReason.AGENT_ERROR, "the agent ended without a result line")
    how = f"code {ending.code}" if (ending.code or 0) > 0 else f"signal {-(ending.code or 0)}"
    return _outcome(OutcomeKind.FAILED, OutcomeReason.EXIT_CODE, f"the agent ended with {how}. {report.error}".strip())


def _transient(reason: OutcomeReason, ending: Ending, report: Report) -> Outcome:
    fitting = reason if reason in _TRANSIENT else OutcomeReason.OVERLOADED
    words = report.error or f"the agent's provider: {fitting.value.replace('_', ' ')}"
    return replace(
        _outcome(OutcomeKind.TRANSIENT, fitting, words),
        retry_after_s=ending.retry_after_s,
        resets_at=ending.resets_at if fitting is OutcomeReason.RATE_LIMITED else None,
    )


def _outcome(kind: OutcomeKind, reason: OutcomeReason, detail: str) -> Outcome:
    return Outcome(kind=kind, reason=reason, detail=detail[:DETAIL_CHARS])


def _with(outcome: Outcome, report: Report) -> Outcome:
    return replace(outcome, usage=report.usage, session_id=report.session_id)
