"""How much each source's webhooks lose: what came by them, what had to be repaired, when people must know (RC-11)."""

from datetime import datetime

from msgspec import Struct, structs

from conveyor.contracts import facts_ids
from conveyor.contracts.events import AnyEvent, CloseKind, CommitStatusChanged, IssueChanged, IssueClosed, Origin
from conveyor.reconciler.core.text import RELATIONS

SOURCES = (facts_ids.PLANE, facts_ids.GITEA)
SILENT_AFTER = 3
"""So many repairs in a row without one webhook in between, and the source counts as silent."""
ENOUGH = 10
"""A rate of fewer facts than this says nothing."""


class Account(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One source on one day (UTC)."""

    day: str = ""
    arrived: int = 0
    """Facts that came by webhook."""
    repaired: int = 0
    """Facts that the reconciler had to find though a webhook should have told them."""
    late_s: float = 0.0
    """How late the repairs came, summed up, where the source gives a time."""
    latest_s: float = 0.0
    """How late the latest of them came."""
    in_a_row: int = 0
    """Repairs since a webhook arrived last; a new day does not end it."""
    arrived_at: datetime | None = None
    """When a webhook arrived last."""

    @property
    def rate(self) -> float:
        """The share of the day's facts that webhooks lost, from 0 to 1."""
        return self.repaired / (self.repaired + self.arrived) if self.repaired else 0.0


class Ledger(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept on the bus."""

    seq: int = 0
    """The last event counted."""
    accounts: dict[str, Account] = {}
    alarms: dict[str, str] = {}
    """Source -> the kind of alarm that people know of."""


def counted(ledger: Ledger, seq: int, event: AnyEvent, *, tells_ci: bool = True) -> Ledger:
    """Return the ledger with one more stored event; what no webhook could have told is no loss.

    `tells_ci` says whether the forge tells by webhook that CI has finished.
    """
    account = ledger.accounts.get(event.source, Account())
    if event.source in SOURCES and event.origin is Origin.WEBHOOK:
        account = _arrived(_on_day(account, event), event)
    elif event.source in SOURCES and event.origin is Origin.RECONCILER and _was_tellable(event, tells_ci=tells_ci):
        account = _repaired(_on_day(account, event), event)
    else:
        return structs.replace(ledger, seq=seq)
    return structs.replace(ledger, seq=seq, accounts={**ledger.accounts, event.source: account})


def _on_day(account: Account, event: AnyEvent) -> Account:
    day = f"{event.received_at:%Y-%m-%d}"
    if day == account.day:
        return account
    return Account(day=day, in_a_row=account.in_a_row, arrived_at=account.arrived_at)


def _arrived(account: Account, event: AnyEvent) -> Account:
    return structs.replace(account, arrived=account.arrived + 1, in_a_row=0, arrived_at=event.received_at)


def _repaired(account: Account, event: AnyEvent) -> Account:
    late_s = max(0.0, (event.received_at - event.at).total_seconds())
    return structs.replace(
        account,
        repaired=account.repaired + 1,
        in_a_row=account.in_a_row + 1,
        late_s=account.late_s + late_s,
        latest_s=max(account.latest_s, late_s),
    )


def _was_tellable(event: AnyEvent, *, tells_ci: bool) -> bool:
    match event:
        case IssueClosed():
            return event.how not in (CloseKind.DELETED, CloseKind.ARCHIVED)
        case IssueChanged():
            return event.fields != (RELATIONS,)
        case CommitStatusChanged():
            return tells_ci
        case _:
            return True


def alarms(ledger: Ledger, threshold: float) -> dict[str, str]:
    """Return the kind of alarm of every source that is in a bad way: `silent` or `lossy`."""
    found = {}
    for source, account in ledger.accounts.items():
        if account.in_a_row >= SILENT_AFTER:
            found[source] = "silent"
        elif account.arrived + account.repaired >= ENOUGH and account.rate > threshold:
            found[source] = "lossy"
    return found


_SAID = {
    "silent": "{name} has gone silent: the last {in_a_row} facts came by the reconciler alone.",
    "lossy": "{name} loses webhooks: {repaired} of {all} facts of {day} had to be found by the reconciler.",
}
_ADVICE = {
    facts_ids.PLANE: (
        "Only an admin of the workspace can see its webhooks: look under Settings, Webhooks, whether ours is switched "
        "on (Plane switches it off after six failed deliveries) and leads to the gateway. `conveyor doctor` tells more."
    ),
    facts_ids.GITEA: (
        "Look at the repository's webhooks and their recent deliveries, and whether Gitea's ALLOWED_HOST_LIST lets it "
        "reach the gateway. `conveyor doctor` tells more."
    ),
}


def words(source: str, kind: str, account: Account) -> str:
    """Return what people are told, and what they can do."""
    facts = {"name": source.capitalize(), "all": account.arrived + account.repaired}
    said = _SAID[kind].format(**facts, **structs.asdict(account))
    return f"{said} {_ADVICE[source]}"
