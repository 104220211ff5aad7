"""Money and progress: what a run may still cost, when no further one starts, and who has changed nothing for long."""

from conveyor.contracts.outcomes import Outcome, OutcomeKind
from conveyor.contracts.pipeline import Pipeline
from conveyor.contracts.task import Budget

_TELLING = (OutcomeKind.SUCCEEDED, OutcomeKind.FAILED, OutcomeKind.TIMEOUT)
"""Runs that had their chance to change something; the others were stopped from outside."""


def left(pipeline: Pipeline, spent: Budget) -> dict[str, float]:
    """Return what the next run may cost in US dollars, by whose budget it is; without the ones that have no limit."""
    limits = {"run": pipeline.run_budget_usd}
    if pipeline.task_budget_usd:
        limits["task"] = round(pipeline.task_budget_usd - spent.cost_usd, 6)
    return {name: limit for name, limit in limits.items() if limit}


def refusal(pipeline: Pipeline, spent: Budget, role: str) -> str:
    """Return why no further run of this role starts by itself; empty when one may."""
    if pipeline.task_budget_usd and spent.cost_usd >= pipeline.task_budget_usd:
        return (
            f"the task's budget of ${pipeline.task_budget_usd:g} is spent: its runs cost"
            f" ${spent.cost_usd:.2f}. Raise task_budget_usd."
        )
    if pipeline.idle_runs and spent.idle.get(role, 0) >= pipeline.idle_runs:
        return f"the last {spent.idle[role]} runs of the {role} changed nothing."
    return ""


def idle_after(spent: Budget, role: str, outcome: Outcome) -> dict[str, int]:
    """Return how many runs in a row changed nothing, by role, after this outcome."""
    if outcome.kind not in _TELLING:
        return spent.idle
    others = {name: count for name, count in spent.idle.items() if name != role}
    return others if outcome.changed else {**others, role: spent.idle.get(role, 0) + 1}
