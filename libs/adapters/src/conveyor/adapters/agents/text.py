"""Plain text, as aider and any other command print it: only its end is kept, and only error lines are believed."""

import re
from collections import deque

from conveyor.adapters.agents.report import ERROR_CHARS, SUMMARY_CHARS, AgentReport
from conveyor.adapters.agents.troubles import ended_in_trouble, kind_of, wait_s
from conveyor.contracts.outcomes import OutcomeReason, Usage

TAIL_BYTES = 16 * 1024
"""How much of the end is looked at (RU-7)."""
_NUMBER = r"(\d{1,12}(?:\.\d{1,12})?)"
_TOKENS = re.compile(rf"^Tokens: {_NUMBER}(k|M)? sent,.*? {_NUMBER}(k|M)? received", re.IGNORECASE)
_COST = re.compile(rf"Cost: \${_NUMBER} message")
_FACTORS = {"": 1, "k": 1_000, "m": 1_000_000}


class PlainText:
    """A Parser; see there. It says `ok` only when the output ends in a provider's error, whatever the exit code."""

    is_session_total = False
    """It tells what this run used."""

    def __init__(self) -> None:
        self._tail: deque[bytes] = deque()
        self._size = 0
        self._input_tokens = 0
        self._output_tokens = 0
        self._cost_usd = 0.0

    def feed(self, line: bytes) -> None:
        """Take one line; of one longer than the tail only the end is kept."""
        kept = line.rstrip(b"\r\n")[-TAIL_BYTES:]
        self._tail.append(kept)
        self._size += len(kept) + 1
        while self._size > TAIL_BYTES and len(self._tail) > 1:
            self._size -= len(self._tail.popleft()) + 1
        self._count(kept.decode("utf-8", "replace"))

    def _count(self, line: str) -> None:
        if match := _TOKENS.match(line):
            self._input_tokens += _number(match[1], match[2])
            self._output_tokens += _number(match[3], match[4])
            cost = _COST.search(line)
            self._cost_usd += float(cost[1]) if cost else 0.0

    @property
    def has_result(self) -> bool:
        """Never: text has no result line."""
        return False

    @property
    def hopeless(self) -> str:
        """Never known from text."""
        return ""

    @property
    def usage(self) -> Usage:
        """What aider's token lines add up to; nothing for other commands."""
        return Usage(
            input_tokens=self._input_tokens, output_tokens=self._output_tokens, cost_usd=round(self._cost_usd, 6)
        )

    def result(self) -> AgentReport:
        """Return what the end of the output hints at."""
        text = b"\n".join(self._tail).decode("utf-8", "replace").strip()
        reason, is_over = kind_of(text), ended_in_trouble(text)
        return AgentReport(
            ok=False if is_over else None,
            reason=reason,
            is_transient=reason is not None,
            retry_after_s=wait_s(text) if reason is OutcomeReason.RATE_LIMITED else None,
            usage=self.usage,
            summary="" if is_over else text[-SUMMARY_CHARS:],
            error=text[-ERROR_CHARS:] if is_over else "",
        )


def _number(digits: str, factor: str | None) -> int:
    return round(float(digits) * _FACTORS[(factor or "").lower()])
