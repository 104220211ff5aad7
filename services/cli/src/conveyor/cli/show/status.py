"""`conveyor status`: every task on one line, and what waits for runners."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from msgspec import Struct
from rich.table import Table

from conveyor.cli.show.ages import age, money
from conveyor.contracts.task import Task, Waiting
from conveyor.reconciler.last_pass import LastPass


class Row(Struct, frozen=True, kw_only=True):
    """One task as the table and `--json` show it."""

    project: str
    key: str
    title: str
    stage: str
    waiting: str
    run: str
    since: datetime | None
    pull_request: int
    cost_usd: float
    escalation: str
    merge_place: int = 0
    """Its place in the merge queue of its repository, from 1; 0 when it does not wait for its merge."""


class Overview(Struct, frozen=True, kw_only=True):
    """What `conveyor status --json` prints."""

    tasks: tuple[Row, ...]
    done: int
    cancelled: int
    queued_runs: int
    running: int
    runners: tuple[str, ...]
    last_pass: LastPass | None = None
    """What the reconciler's last pass did; None before the first."""


def overview(
    tasks: Iterable[Task],
    runners: Sequence[str],
    *,
    with_ended: bool,
    places: Mapping[tuple[str, str], int] = MappingProxyType({}),
) -> Overview:
    """Return what there is to see; ended tasks are counted, and listed when asked for.

    `places` are those of the merge queues.
    """
    known = list(tasks)
    shown = [task for task in known if with_ended or not task.is_over]
    runs = [task.run for task in known if task.run is not None and task.waiting is Waiting.RUN]
    return Overview(
        tasks=tuple(_row(task, places.get((task.project, task.key), 0)) for task in sorted(shown, key=_place)),
        done=sum(task.stage == "done" for task in known),
        cancelled=sum(task.stage == "cancelled" for task in known),
        queued_runs=sum(not run.runner_id for run in runs),
        running=sum(bool(run.runner_id) for run in runs),
        runners=tuple(runners),
    )


def _place(task: Task) -> tuple[str, str, int]:
    identifier, _, number = task.key.rpartition("-")
    return task.project, identifier, int(number or 0)


def _row(task: Task, merge_place: int) -> Row:
    return Row(
        project=task.project,
        key=task.key,
        title=task.title,
        stage=task.stage,
        waiting=f"merge (place {merge_place})" if merge_place else waits_for(task),
        run=run_of(task),
        since=task.since,
        pull_request=task.pull_request,
        cost_usd=task.budget.cost_usd,
        escalation=task.escalation,
        merge_place=merge_place,
    )


def waits_for(task: Task) -> str:
    """Return what a task waits for, with the name of what it is."""
    match task.waiting:
        case Waiting.DEPENDENCY:
            return f"dependency {', '.join(task.open_dependencies)}"
        case Waiting.PERSON if task.is_escalated:
            return "person (blocked)"
        case Waiting.FACTS if task.gate is not None and task.gate.check:
            return f"facts ({task.gate.check})"
        case _:
            return task.waiting.value


def run_of(task: Task) -> str:
    """Return the current run: who plays it, which attempt, and where; empty when there is none."""
    run = task.run
    if run is None:
        return ""
    attempt = f" #{run.attempt}" if run.attempt > 1 else ""
    return f"{run.role}{attempt} " + (f"on {run.runner_id}" if run.runner_id else "queued")


def table(seen: Overview, now: datetime) -> Table:
    """Return the tasks as a table for a terminal."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("TASK", "STAGE", "WAITS FOR", "RUN", "SINCE", "PR", "COST", "TITLE"):
        made.add_column(column, no_wrap=column != "TITLE", overflow="ellipsis")
    for row in seen.tasks:
        pull = f"#{row.pull_request}" if row.pull_request else "-"
        cells = (row.key, row.stage, row.waiting or "-", row.run or "-", age(row.since, now), pull)
        made.add_row(*cells, money(row.cost_usd), row.title, style="red" if row.escalation else "")
    return made


def footer(seen: Overview, *, with_ended: bool) -> str:
    """Return the line below the table: the queue, the runners, and who is not listed."""
    runners = ", ".join(seen.runners) or "none is there"
    ended = f"{seen.done} done, {seen.cancelled} cancelled" + ("" if with_ended else " (--all lists them)")
    return f"Runs: {seen.queued_runs} queued, {seen.running} running. Runners: {runners}. Tasks ended: {ended}."
