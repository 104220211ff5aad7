"""What a benchmark says: one JSON object a line on stdout, and on stderr how much the rounds differed."""

import math
import statistics
import sys
from collections.abc import Sequence

import msgspec
from msgspec import Struct


class Figure(Struct, frozen=True, kw_only=True):
    """One figure. `ratio` compares it with `anchor`; both are null where there is nothing to compare with."""

    id: str
    value: float
    unit: str
    anchor: float | None = None
    """A goal in the same unit, or what was measured beside it in the same run."""
    ratio: float | None = None
    """value / anchor."""


def figure(figure_id: str, value: float, unit: str, anchor: float | None = None) -> Figure:
    """Return a figure, rounded to what can be believed, with its ratio."""
    ratio = round(value / anchor, 3) if anchor else None
    return Figure(
        id=figure_id, value=rounded(value), unit=unit, anchor=rounded(anchor) if anchor else None, ratio=ratio
    )


def rounded(value: float) -> float:
    """Three digits behind the point for small numbers, none for large ones."""
    return round(value, 3 if abs(value) < 10 else 1 if abs(value) < 1000 else 0)


def median(figure_id: str, unit: str, rounds: Sequence[float]) -> float:
    """Return the median of the rounds and note their spread."""
    middle = statistics.median(rounds)
    note(
        f"{figure_id}: min {rounded(min(rounds))}, median {rounded(middle)}, max {rounded(max(rounds))} {unit}"
        f" over {len(rounds)} rounds"
    )
    return middle


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest of the values that at least `share` of them do not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def say(found: Figure) -> None:
    """Print a figure."""
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """Tell the reader something beside the figures."""
    sys.stderr.write(f"# {text}\n")
    sys.stderr.flush()
