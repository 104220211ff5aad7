"""Codex's `exec --json`: the turn's end, its words, its tokens and the provider's troubles, line by line."""

import re

from msgspec import Struct

from conveyor.adapters.agents.json_lines import JsonLines
from conveyor.adapters.agents.report import ERROR_CHARS, SUMMARY_CHARS, AgentReport
from conveyor.adapters.agents.troubles import HOPELESS, PASSING, kind_of, of_status, wait_s
from conveyor.contracts.outcomes import OutcomeReason, Usage

_STATUS = re.compile(r"(?:unexpected|last) status:? (\d{3})\b")
_BROKEN = re.compile(r"stream (?:disconnected|closed)|error sending request", re.IGNORECASE)


class _Tokens(Struct, frozen=True):
    """Of the whole thread; the cached ones are part of the input, the reasoning ones of the output."""

    input_tokens: int = 0
    output_tokens: int = 0


class _Item(Struct, frozen=True):
    """Something the agent did or said. An item of the type `error` is a warning, not the end."""

    type: str = ""
    text: str = ""


class _Failure(Struct, frozen=True):
    """Why a turn failed."""

    message: str = ""


class _Line(Struct, frozen=True):
    """The lines that we read, each as little as we need."""

    type: str
    thread_id: str = ""
    message: str = ""
    item: _Item = _Item()
    usage: _Tokens = _Tokens()
    error: _Failure = _Failure()


class CodexJsonl:
    """A Parser; see there. The tokens are the thread's total: of a resumed session, those of its earlier runs too."""

    is_session_total = True
    """Measured with 0.169: 1000, 2000, 3000 tokens over three equal runs of one thread."""

    def __init__(self) -> None:
        self._session_id = ""
        self._lines = JsonLines(_Line)
        self._ok: bool | None = None
        self._tokens = _Tokens()
        self._said = ""
        self._trouble = ""

    def feed(self, line: bytes) -> None:
        """Take one line; what cannot be read is counted and skipped, unknown types are fine."""
        found = self._lines.read(line)
        if found is not None:
            self._take(found)

    def _take(self, line: _Line) -> None:
        match line.type:
            case "thread.started":
                self._session_id = line.thread_id
            case "turn.started":
                self._ok, self._trouble = None, ""
            case "turn.completed":
                self._ok, self._tokens = True, line.usage
            case "turn.failed":
                self._ok, self._trouble = False, line.error.message or self._trouble
            case "error":
                self._trouble = line.message
            case "item.completed" if line.item.type == "agent_message":
                self._said = line.item.text

    @property
    def has_result(self) -> bool:
        """Whether the turn has ended, well or not, and no other has begun."""
        return self._ok is not None

    @property
    def hopeless(self) -> str:
        """The rejected key's words; Codex tries five more times before it gives up."""
        return self._trouble if self._status() in HOPELESS else ""

    @property
    def usage(self) -> Usage:
        """What the turn's end told; Codex tells no cost, and nothing before the end."""
        return Usage(input_tokens=self._tokens.input_tokens, output_tokens=self._tokens.output_tokens)

    def result(self) -> AgentReport:
        """Return what is known: by the turn's end, or, when there is none, by the last error."""
        reason = OutcomeReason.FINISHED if self._ok else self._reason()
        return AgentReport(
            ok=self._ok,
            reason=reason,
            is_transient=reason in PASSING,
            retry_after_s=wait_s(self._trouble) if reason is OutcomeReason.RATE_LIMITED else None,
            usage=self.usage,
            session_id=self._session_id,
            summary=self._said[:SUMMARY_CHARS] if self._ok else "",
            error="" if self._ok else self._trouble[:ERROR_CHARS],
            bad_lines=self._lines.bad,
        )

    def _status(self) -> int | None:
        found = _STATUS.search(self._trouble)
        return int(found[1]) if found else None

    def _reason(self) -> OutcomeReason | None:
        if not self._trouble:
            return OutcomeReason.AGENT_ERROR if self._ok is False else None
        if status := self._status():
            return of_status(status)
        if kind := kind_of(self._trouble):
            return kind
        return OutcomeReason.NETWORK if _BROKEN.search(self._trouble) else OutcomeReason.AGENT_ERROR
