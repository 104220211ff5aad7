"""Passing troubles of an agent's provider as they show in plain text, and the wait asked for in any of three forms."""

import re

from conveyor.contracts.outcomes import OutcomeReason

PASSING = frozenset({OutcomeReason.RATE_LIMITED, OutcomeReason.OVERLOADED, OutcomeReason.NETWORK})
"""The reasons that pass by themselves: the same run may do better later."""
HOPELESS = frozenset({401, 403})
"""Statuses of a rejected key, which no repetition mends."""
_KINDS = (
    (
        OutcomeReason.RATE_LIMITED,
        re.compile(r"rate.?limit|too many requests|\b429\b|quota|usage limit|hit your .{0,20}limit", re.IGNORECASE),
    ),
    (
        OutcomeReason.OVERLOADED,
        re.compile(
            r"overloaded|at capacity|service.?unavailable|bad gateway|internal server ?error|\b(?:502|503|529)\b",
            re.IGNORECASE,
        ),
    ),
    (
        OutcomeReason.NETWORK,
        re.compile(
            r"connection (?:refused|reset|error|aborted)|name resolution|api.?connection|timed? ?out|"
            r"network is unreachable|\b(?:ECONN\w+|ETIMEDOUT|ENOTFOUND)\b",
            re.IGNORECASE,
        ),
    ),
)
_FATAL_LINE = re.compile(
    r"^\s*(?:[\w.]*\b\w*(?:RateLimit|Overloaded|ServiceUnavailable|APIConnection|InternalServer|Timeout)\w*Error\b"
    r"|(?:api |fatal )?error\b[:\s].*(?:\b(?:429|500|502|503|529)\b|rate.?limit|overloaded|quota|usage limit))",
    re.IGNORECASE,
)
_LAST_LINES = 4
LONGEST_WAIT_S = 7 * 86_400.0
"""No usage limit lasts longer; a longer wait is somebody's number, not a provider's."""
_NAMED_WAIT = re.compile(
    r"retry[-_ ]?(?:after|delay)(?P<ms>[-_ ]?ms)?[\"']?\s*[:=]\s*[\"']?(?P<number>\d+(?:\.\d+)?)", re.IGNORECASE
)
_SPAN = r"\d+(?:\.\d+)?\s*[a-z]+(?:\s*\d+(?:\.\d+)?\s*[a-z]+)*"
_PROSE = re.compile(
    rf"(?:try again|retry|wait)(?: again)?(?: (?:in|after|for))?(?: about)?\s+(?P<span>{_SPAN})", re.IGNORECASE
)
_PIECE = re.compile(
    r"(\d+(?:\.\d+)?)\s*(ms|milliseconds?|h|hours?|hrs?|m|min|minutes?|mins?|s|sec|seconds?|secs?)\b|(\d+(?:\.\d+)?)(h|m|s)(?=\d)",
    re.IGNORECASE,
)
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}


def of_status(status: int | None) -> OutcomeReason:
    """Return what an HTTP status of the provider means for the run; None, no status at all, is the network."""
    if status is None:
        return OutcomeReason.NETWORK
    if status == 429:
        return OutcomeReason.RATE_LIMITED
    return OutcomeReason.OVERLOADED if status >= 500 or status == 408 else OutcomeReason.AGENT_ERROR


def kind_of(text: str) -> OutcomeReason | None:
    """Return the passing trouble that a text speaks of, the most telling first; None when it speaks of none."""
    return next((reason for reason, pattern in _KINDS if pattern.search(text)), None)


def ended_in_trouble(text: str) -> bool:
    """Whether one of the last lines is a provider's error, as some agents print before they exit with 0.

    A line that merely mentions a rate limit, as a summary of work may, is none.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    return any(_FATAL_LINE.match(line) for line in lines[-_LAST_LINES:])


def wait_s(text: str) -> float | None:
    """Return the last wait in seconds that a text asks for: as a header, in JSON or in prose; None for none."""
    found = [(match.start(), _named(match)) for match in _NAMED_WAIT.finditer(text)]
    found += [(match.start(), seconds) for match in _PROSE.finditer(text) if (seconds := _span(match["span"]))]
    return min(max(found)[1], LONGEST_WAIT_S) if found else None


def _named(match: re.Match[str]) -> float:
    number = float(match["number"])
    return number / 1000 if match["ms"] else number


def _span(text: str) -> float:
    total = 0.0
    for match in _PIECE.finditer(text):
        number, unit = match[1] or match[3], (match[2] or match[4]).lower()
        total += float(number) * (0.001 if unit.startswith(("ms", "milli")) else _SECONDS[unit[0]])
    return total
