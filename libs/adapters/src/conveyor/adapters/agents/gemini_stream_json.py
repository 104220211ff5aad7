"""Gemini's `--output-format stream-json`: result, tokens and session, line by line; its retries stand on stderr."""

from msgspec import Struct

from conveyor.adapters.agents.json_lines import JsonLines
from conveyor.adapters.agents.report import ERROR_CHARS, SUMMARY_CHARS, AgentReport
from conveyor.adapters.agents.troubles import PASSING, kind_of, wait_s
from conveyor.contracts.outcomes import OutcomeReason, Usage

_WORKING = frozenset({"message", "tool_use", "tool_result"})


class _Stats(Struct, frozen=True):
    """Of this run alone; the cached tokens are part of the input."""

    input_tokens: int = 0
    output_tokens: int = 0


class _Failure(Struct, frozen=True):
    """Why the run failed."""

    type: str = ""
    message: str = ""


class _Line(Struct, frozen=True):
    """The lines that we read, each as little as we need."""

    type: str
    session_id: str = ""
    role: str = ""
    content: str = ""
    delta: bool = False
    severity: str = ""
    message: str = ""
    status: str = ""
    error: _Failure | None = None
    stats: _Stats | None = None


class GeminiStreamJson:
    """A Parser; see there. A run that ends without a result has told its trouble by its exit code and on stderr."""

    is_session_total = False
    """It tells what this run used."""

    def __init__(self) -> None:
        self._session_id = ""
        self._lines = JsonLines(_Line)
        self._ok: bool | None = None
        self._stats = _Stats()
        self._said = ""
        self._is_speaking = False
        self._trouble = ""

    def feed(self, line: bytes) -> None:
        """Take one line; what cannot be read is counted and skipped, unknown types are fine."""
        found = self._lines.read(line)
        if found is not None:
            self._take(found)

    def _take(self, line: _Line) -> None:
        self._session_id = line.session_id or self._session_id
        if line.type in _WORKING:
            self._ok = None
            self._hear(line)
        elif line.type == "error" and line.severity != "warning":
            self._trouble = line.message
        elif line.type == "result":
            self._ok = line.status == "success"
            self._stats = line.stats or self._stats
            self._trouble = (line.error.message or line.error.type) if line.error else self._trouble

    def _hear(self, line: _Line) -> None:
        """Keep the last answer: it comes in pieces, which belong together until something else comes."""
        is_speech = line.type == "message" and line.role == "assistant"
        if is_speech:
            goes_on = self._is_speaking and line.delta
            self._said = (self._said + line.content if goes_on else line.content)[:SUMMARY_CHARS]
        self._is_speaking = is_speech

    @property
    def has_result(self) -> bool:
        """Whether the result has come, and nothing after it."""
        return self._ok is not None

    @property
    def hopeless(self) -> str:
        """Never: Gemini gives up by itself on a rejected key."""
        return ""

    @property
    def usage(self) -> Usage:
        """What the result told; Gemini tells no cost, and nothing before the end."""
        return Usage(input_tokens=self._stats.input_tokens, output_tokens=self._stats.output_tokens)

    def result(self) -> AgentReport:
        """Return what is known by the result, or by the last error; None for `ok` without a result."""
        reason = OutcomeReason.FINISHED if self._ok else self._reason()
        return AgentReport(
            ok=self._ok,
            reason=reason,
            is_transient=reason in PASSING,
            retry_after_s=wait_s(self._trouble) if reason is OutcomeReason.RATE_LIMITED else None,
            usage=self.usage,
            session_id=self._session_id,
            summary=self._said if self._ok else "",
            error="" if self._ok else self._trouble[:ERROR_CHARS],
            bad_lines=self._lines.bad,
        )

    def _reason(self) -> OutcomeReason | None:
        if self._ok is None and not self._trouble:
            return None
        return kind_of(self._trouble) or OutcomeReason.AGENT_ERROR
