"""opencode's `run --format json`: steps with their tokens and cost, and errors with the provider's own answer.

There is no final event: a step that stopped by itself is the end unless another begins.
"""

from msgspec import Struct

from conveyor.adapters.agents.json_lines import JsonLines
from conveyor.adapters.agents.report import ERROR_CHARS, SUMMARY_CHARS, AgentReport
from conveyor.adapters.agents.troubles import PASSING, kind_of, of_status, wait_s
from conveyor.contracts.outcomes import OutcomeReason, Usage

_WORKING = frozenset({"step_start", "tool_use", "text"})
_GOES_ON = frozenset({"", "tool-calls", "unknown"})
"""A step that ended so is followed by another."""


class _Cache(Struct, frozen=True):
    """Tokens read from and written to the provider's cache; no part of `input`."""

    read: int = 0
    write: int = 0


class _Tokens(Struct, frozen=True):
    """Tokens of one step."""

    input: int = 0
    output: int = 0
    reasoning: int = 0
    cache: _Cache = _Cache()


class _Part(Struct, frozen=True):
    """What a line tells: a text, or how a step ended."""

    text: str = ""
    reason: str = ""
    messageID: str = ""  # noqa: N815 - the agent's spelling
    tokens: _Tokens = _Tokens()
    cost: float = 0.0


class _ErrorData(Struct, frozen=True):
    """The provider's answer, as far as there was one."""

    message: str = ""
    statusCode: int | None = None  # noqa: N815 - the agent's spelling
    isRetryable: bool = False  # noqa: N815 - as above
    responseHeaders: dict[str, str] = {}  # noqa: N815 - as above
    responseBody: str = ""  # noqa: N815 - as above


class _Failure(Struct, frozen=True):
    """What went wrong."""

    name: str = ""
    data: _ErrorData = _ErrorData()


class _Line(Struct, frozen=True):
    """The lines that we read, each as little as we need."""

    type: str
    sessionID: str = ""  # noqa: N815 - the agent's spelling
    part: _Part = _Part()
    error: _Failure | None = None


class OpencodeJson:
    """A Parser; see there."""

    is_session_total = False
    """It tells what this run used."""

    def __init__(self) -> None:
        self._session_id = ""
        self._lines = JsonLines(_Line)
        self._ended = ""
        self._failure: _Failure | None = None
        self._usage = Usage()
        self._said = ""
        self._said_in = ""

    def feed(self, line: bytes) -> None:
        """Take one line; what cannot be read is counted and skipped, unknown types are fine."""
        found = self._lines.read(line)
        if found is not None:
            self._take(found)

    def _take(self, line: _Line) -> None:
        self._session_id = line.sessionID or self._session_id
        if line.type in _WORKING:
            self._ended, self._failure = "", None
        if line.type == "text":
            self._hear(line.part)
        elif line.type == "step_finish":
            self._ended = line.part.reason
            self._count(line.part)
        elif line.type == "error":
            self._failure = line.error or _Failure()

    def _hear(self, part: _Part) -> None:
        """Keep the last message, which may have several texts."""
        is_same = bool(self._said) and part.messageID == self._said_in
        self._said = (f"{self._said}\n{part.text}" if is_same else part.text)[:SUMMARY_CHARS]
        self._said_in = part.messageID

    def _count(self, part: _Part) -> None:
        tokens = part.tokens
        self._usage = Usage(
            input_tokens=self._usage.input_tokens + tokens.input + tokens.cache.read + tokens.cache.write,
            output_tokens=self._usage.output_tokens + tokens.output + tokens.reasoning,
            cost_usd=round(self._usage.cost_usd + part.cost, 6),
        )

    @property
    def _ok(self) -> bool | None:
        if self._failure is not None:
            return False
        return None if self._ended in _GOES_ON else self._ended == "stop"

    @property
    def has_result(self) -> bool:
        """Whether the last step stopped by itself or an error came, and nothing after it."""
        return self._ok is not None

    @property
    def hopeless(self) -> str:
        """Never: opencode gives up by itself on a rejected key."""
        return ""

    @property
    def usage(self) -> Usage:
        """The sum over the steps that have ended."""
        return self._usage

    def result(self) -> AgentReport:
        """Return what is known by the last step's end or by the error that came after it."""
        ok, words = self._ok, self._words()
        reason = OutcomeReason.FINISHED if ok else self._reason()
        return AgentReport(
            ok=ok,
            reason=reason,
            is_transient=reason in PASSING,
            retry_after_s=self._wait_s() if reason is OutcomeReason.RATE_LIMITED else None,
            usage=self._usage,
            session_id=self._session_id,
            summary=self._said if ok else "",
            error="" if ok else words[:ERROR_CHARS],
            bad_lines=self._lines.bad,
        )

    def _words(self) -> str:
        if self._failure is None:
            return "" if self._ended in _GOES_ON else f"the last step ended with {self._ended}"
        data, name = self._failure.data, self._failure.name or "error"
        status = "" if data.statusCode is None else f" ({data.statusCode})"
        return f"{name}: {data.message}{status}" if data.message else f"{name}{status}"

    def _reason(self) -> OutcomeReason | None:
        if self._failure is None:
            return None if self._ended in _GOES_ON else OutcomeReason.AGENT_ERROR
        data = self._failure.data
        if data.statusCode is not None:
            return of_status(data.statusCode)
        return kind_of(data.message) or (OutcomeReason.NETWORK if data.isRetryable else OutcomeReason.AGENT_ERROR)

    def _wait_s(self) -> float | None:
        """Return the wait asked for in the provider's header, else in its words."""
        data = self._failure.data if self._failure else _ErrorData()
        named = "\n".join(f"{name}: {value}" for name, value in data.responseHeaders.items())
        return wait_s(named) or wait_s(f"{data.message}\n{data.responseBody}")
