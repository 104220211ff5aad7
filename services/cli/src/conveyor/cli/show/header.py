"""The head of `conveyor task show`: where one task stands, field by field."""

from collections.abc import Iterator
from datetime import datetime

from conveyor.cli.show.ages import age, money
from conveyor.cli.show.status import run_of, waits_for
from conveyor.contracts.task import Task


def header(task: Task, now: datetime) -> Iterator[tuple[str, str]]:
    """Yield what there is to say of a task as name and value; what is empty is left out."""
    fields = (
        ("task", f"{task.key} {task.title} ({task.project})"),
        ("stage", task.stage),
        ("waits for", f"{waits_for(task)}, since {age(task.since, now)}" if task.waiting else ""),
        ("blocked", task.escalation),
        ("run", f"{task.run.run_id}: {run_of(task)}" if task.run else ""),
        ("gate", _gate(task)),
        ("branch", task.branch + (f" at {task.head[:10]}" if task.head else "")),
        ("pull request", f"#{task.pull_request}" if task.pull_request else ""),
        ("merged as", task.merge_sha),
        ("depends on", ", ".join(task.depends_on)),
        ("rollbacks", ", ".join(f"{count} to {stage}" for stage, count in task.budget.rollbacks.items())),
        ("cost", money(task.budget.cost_usd) if task.budget.cost_usd else ""),
        ("revision", str(task.revision)),
    )
    yield from ((name, value) for name, value in fields if value)


def _gate(task: Task) -> str:
    gate = task.gate
    if gate is None:
        return ""
    found = gate.state.value if gate.state else "being evaluated"
    return found + (f": {gate.check}: {gate.reason}" if gate.check else "")
