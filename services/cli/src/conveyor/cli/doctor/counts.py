"""What the running gateway has counted of deliveries: proof that what a sender sent has arrived."""

import re

import httpx

_LINE = re.compile(r"^conveyor_gateway_deliveries_total\{(?P<labels>[^}]*)\} (?P<count>\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
Counts = dict[tuple[str, str, str], float]
"""How many, by source, outcome and reason."""


async def ask(client: httpx.AsyncClient, addresses: tuple[str, ...]) -> Counts | None:
    """Return the counts from the first address that shows them; None when none does."""
    for address in addresses:
        try:
            response = await client.get(f"{address}/metrics")
        except (httpx.HTTPError, httpx.InvalidURL):
            continue
        if response.is_success and "conveyor_gateway_" in response.text:
            return counts(response.text)
    return None


def counts(text: str) -> Counts:
    """Return the counts in a page of metrics."""
    found = {}
    for line in _LINE.finditer(text):
        labels = dict(_LABEL.findall(line["labels"]))
        found[labels.get("source", ""), labels.get("outcome", ""), labels.get("reason", "")] = float(line["count"])
    return found


def heard(found: Counts, source: str) -> int:
    """Return how many real deliveries have come from a source: let in, and not of the kind that only we send."""
    return round(
        sum(
            count
            for (name, outcome, reason), count in found.items()
            if name == source and outcome != "refused" and (outcome, reason) != ("ignored", "unused_kind")
        )
    )
