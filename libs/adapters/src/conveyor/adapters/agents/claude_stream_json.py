"""Claude Code's `--output-format stream-json`: result, cost, session and the provider's troubles, line by line."""

from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from conveyor.adapters.agents.claude_lines import (
    AssistantLine,
    Head,
    LimitLine,
    ModelUsage,
    ResultLine,
    RetryLine,
    TokenCount,
)
from conveyor.adapters.agents.json_lines import UNREADABLE, JsonLines
from conveyor.adapters.agents.report import ERROR_CHARS, SUMMARY_CHARS, AgentReport
from conveyor.adapters.agents.troubles import HOPELESS, PASSING, of_status
from conveyor.contracts.outcomes import OutcomeReason, Usage

_SESSION_TOTALS = (2, 1, 285)
_WORKING = frozenset({"assistant", "user"})
T = TypeVar("T")


class ClaudeStreamJson:
    """A Parser; see there. A result tells this run's cost up to 2.1.270, the session's from 2.1.285, later both."""

    def __init__(self) -> None:
        self._session_id = ""
        self._version = ""
        self._tells_session = False
        self._lines = JsonLines(Head)
        self._result: ResultLine | None = None
        self._goes_on = False
        self._retry: RetryLine | None = None
        self._rejected_until: float | None = None
        self._is_rejected = False
        self._told: list[Usage] = []
        self._messages: dict[str, TokenCount] = {}

    def feed(self, line: bytes) -> None:
        """Take one line; what cannot be read is counted and skipped, unknown types are fine."""
        head = self._lines.read(line)
        if head is None:
            return
        self._session_id = head.session_id or self._session_id
        self._version = head.claude_code_version or self._version
        try:
            self._take(head, line)
        except UNREADABLE:
            self._lines.bad += 1

    def _take(self, head: Head, line: bytes) -> None:
        self._goes_on = self._goes_on or head.type in _WORKING
        if head.type == "assistant":
            message = _read(line, AssistantLine).message
            self._messages[message.id] = message.usage or TokenCount()
        elif head.type == "rate_limit_event":
            info = _read(line, LimitLine).rate_limit_info
            self._is_rejected, self._rejected_until = info.status == "rejected", info.resetsAt
        elif head.type == "system" and head.subtype == "api_retry":
            self._retry = _read(line, RetryLine)
        elif head.type == "result":
            self._end(_read(line, ResultLine))

    def _end(self, result: ResultLine) -> None:
        self._result, self._goes_on = result, False
        since = result.model_usage_since_last_result
        self._tells_session = since is None and _numbers(self._version) >= _SESSION_TOTALS
        if since is None:
            # Before that field every result told the total of the process so far.
            self._told = [_used(result.modelUsage, result.total_cost_usd)]
        else:
            self._told.append(_used(since, sum(model.costUSD for model in since.values())))
        self._messages.clear()

    @property
    def has_result(self) -> bool:
        """Whether the last thing of weight was a result."""
        return self._result is not None and not self._goes_on

    @property
    def hopeless(self) -> str:
        """The rejected key's words at the first retry of such a call."""
        if (
            self._retry and self._retry.error_status in HOPELESS
        ):  # Claude Code repeats such a call ten times, 171 s long
            return f"the provider rejects the key: {self._retry.error} ({self._retry.error_status})"
        return ""

    @property
    def usage(self) -> Usage:
        """What the results told, and the messages since, of which the input is exact and the output a guess."""
        counts = self._messages.values()
        return Usage(
            input_tokens=sum(used.input_tokens for used in self._told) + sum(_input(count) for count in counts),
            output_tokens=sum(used.output_tokens for used in self._told) + sum(count.output_tokens for count in counts),
            cost_usd=sum(used.cost_usd for used in self._told),
        )

    @property
    def is_session_total(self) -> bool:
        """Whether the last result told the session's total and not its own share."""
        return self._tells_session

    def result(self) -> AgentReport:
        """Return what is known: by the last result, or by what the provider said last.

        A result that the agent went on from is none: a later turn may have been cut off.
        """
        last = None if self._goes_on else self._result
        ok = None if last is None else not last.is_error
        reason = OutcomeReason.FINISHED if ok else self._trouble(last)
        is_transient = reason in PASSING
        words = _words(last)
        return AgentReport(
            ok=ok,
            reason=reason,
            is_transient=is_transient,
            resets_at=self._resets_at() if reason is OutcomeReason.RATE_LIMITED else None,
            usage=self.usage,
            session_id=self._session_id,
            summary=words[:SUMMARY_CHARS] if ok else "",
            error="" if ok else (words or self.hopeless)[:ERROR_CHARS],
            bad_lines=self._lines.bad,
        )

    def _resets_at(self) -> datetime | None:
        if not self._is_rejected or self._rejected_until is None:
            return None
        try:
            return datetime.fromtimestamp(self._rejected_until, UTC)
        except (ValueError, OverflowError, OSError):  # no time that a calendar has
            return None

    def _trouble(self, last: ResultLine | None) -> OutcomeReason | None:
        if self._is_rejected:
            return OutcomeReason.RATE_LIMITED
        if last is None:
            return of_status(self._retry.error_status) if self._retry else None
        if last.subtype == "error_max_budget_usd":
            return OutcomeReason.BUDGET_SPENT
        if last.api_error_status is not None:
            return of_status(last.api_error_status)
        if last.terminal_reason == "api_error" and self._retry and self._retry.error_status is None:
            return OutcomeReason.NETWORK
        return OutcomeReason.AGENT_ERROR


def _numbers(version: str) -> tuple[int, ...]:
    """Return a version's numbers; none for one that is not told."""
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def _words(last: ResultLine | None) -> str:
    if last is None:
        return ""
    if isinstance(last.result, str) and last.result:
        return last.result
    return "; ".join(str(error) for error in last.errors) if isinstance(last.errors, list) else last.subtype


def _used(models: dict[str, ModelUsage], cost_usd: float) -> Usage:
    return Usage(
        input_tokens=sum(
            model.inputTokens + model.cacheReadInputTokens + model.cacheCreationInputTokens for model in models.values()
        ),
        output_tokens=sum(model.outputTokens for model in models.values()),
        cost_usd=cost_usd,
    )


def _input(count: TokenCount) -> int:
    return count.input_tokens + count.cache_creation_input_tokens + count.cache_read_input_tokens


def _read(line: bytes, kind: type[T]) -> T:
    return msgspec.json.decode(line, type=kind)
