"""What each run spent, as it lies in the bucket `spend`, and the sums that anyone may want of it (RU-13).

One entry a run, under `<project>.<day>.<run id>`, put anew while the run goes on: no sum is kept, so none can be wrong.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from conveyor.contracts.outcomes import Usage

By = Literal["day", "project", "task", "stage", "role", "agent", "run"]


class Spent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one run has used so far."""

    key: str
    stage: str
    role: str
    agent: str
    usage: Usage = Usage()


class Row(Struct, frozen=True, kw_only=True):
    """A sum over runs."""

    name: str
    runs: int
    usage: Usage


def day_of(at: datetime) -> str:
    """Return the day by which spending is kept, in UTC: the one on which the run began."""
    return f"{at:%Y-%m-%d}"


def entry(project: str, day: str, run_id: str) -> str:
    """Return the key of a run's entry."""
    return f"{project}.{day}.{run_id}"


def together(one: Usage, other: Usage) -> Usage:
    """Return the sum of two."""
    return Usage(
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        cost_usd=round(one.cost_usd + other.cost_usd, 6),
    )


def sums(entries: Mapping[str, Spent], by: By) -> tuple[Row, ...]:
    """Return the sums by day, project, task and so on, the dearest first."""
    rows: dict[str, Row] = {}
    for key, spent in entries.items():
        name = _name(key, spent, by)
        before = rows.get(name, Row(name=name, runs=0, usage=Usage()))
        rows[name] = replace(before, runs=before.runs + 1, usage=together(before.usage, spent.usage))
    return tuple(sorted(rows.values(), key=lambda row: (-row.usage.cost_usd, -row.usage.input_tokens, row.name)))


def total(rows: Iterable[Row]) -> Usage:
    """Return what all rows make together."""
    found = Usage()
    for row in rows:
        found = together(found, row.usage)
    return found


def _name(key: str, spent: Spent, by: By) -> str:
    project, day, run_id = key.split(".", 2)
    names = {
        "day": day,
        "project": project,
        "task": f"{project}/{spent.key}",
        "stage": spent.stage,
        "role": spent.role,
        "agent": spent.agent,
        "run": run_id,
    }
    return names[by]
