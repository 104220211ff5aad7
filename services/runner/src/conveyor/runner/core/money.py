"""Money of a run while it goes on: what it cost so far, what of a session's total is its own, when it must stop."""

from collections.abc import Mapping

from msgspec import Struct

from conveyor.contracts.outcomes import Usage

OVERSHOOT = 1.05
"""A budget may be exceeded by so much: a run is stopped before a step like its last one would go beyond (RU-13)."""
_PER = 1_000_000


class Price(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """US dollars per million tokens, for agents that tell no cost, or tell it only at the end."""

    input_usd: float = 0.0
    """Of what it is told."""
    output_usd: float = 0.0
    """Of what it answers."""


def cost_usd(usage: Usage, price: Price) -> float:
    """Return what this cost: as the agent tells, or by the price of its tokens where that is more."""
    by_tokens = (usage.input_tokens * price.input_usd + usage.output_tokens * price.output_usd) / _PER
    return round(max(usage.cost_usd, by_tokens), 6)


def own_share(told: Usage, before: Usage, *, is_session_total: bool) -> Usage:
    """Return what a run itself used, where its agent tells the total of the whole session."""
    if not is_session_total:
        return told
    return Usage(
        input_tokens=max(told.input_tokens - before.input_tokens, 0),
        output_tokens=max(told.output_tokens - before.output_tokens, 0),
        cost_usd=round(max(told.cost_usd - before.cost_usd, 0.0), 6),
    )


def spent_budget(spent_usd: float, step_usd: float, budgets: Mapping[str, float]) -> str:
    """Return which budget is spent, or would be with another step like the last one; empty when none."""
    for name, limit in sorted(budgets.items(), key=lambda budget: budget[1]):
        if spent_usd >= limit or spent_usd + step_usd > limit * OVERSHOOT:
            return f"the {name}'s budget: it cost ${spent_usd:.2f} of the ${max(limit, 0.0):.2f} that were left"
    return ""
