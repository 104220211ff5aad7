"""What counts as a loss of webhooks, and when people are told (RC-11)."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from conveyor.contracts.events import (
    AnyEvent,
    CloseKind,
    CommentAdded,
    CommitStatusChanged,
    IssueChanged,
    IssueClosed,
    Nudged,
    Origin,
)
from conveyor.contracts.task import Run, Task, Waiting
from conveyor.reconciler.core.losses import Account, Ledger, alarms, counted, words
from conveyor.reconciler.core.orphans import orphans
from conveyor.reconciler.watch import Senders
from tests.unit.reconciler.fakes import Bus

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def carried(origin: Origin, source: str = "plane", *, late_s: float = 0.0, day: int = 20) -> dict[str, Any]:
    at = NOW.replace(day=day)
    return {
        "event_id": "e",
        "project": "shop",
        "key": "SHOP-1",
        "trace_id": "t",
        "source": source,
        "origin": origin,
        "at": at - timedelta(seconds=late_s),
        "received_at": at,
    }


def said(origin: Origin, source: str = "plane", **when: Any) -> CommentAdded:
    return CommentAdded(**carried(origin, source, **when), comment_id="c", text="")


def ledger_of(*events: AnyEvent) -> Ledger:
    ledger = Ledger()
    for seq, event in enumerate(events, 1):
        ledger = counted(ledger, seq, event)
    return ledger


@pytest.mark.behaviour("RC-11")
def test_losses_are_counted_by_source_with_how_late_they_were_repaired() -> None:
    came, found = said(Origin.WEBHOOK), said(Origin.RECONCILER, late_s=600)
    ledger = ledger_of(came, came, came, found, said(Origin.WEBHOOK, "gitea"))
    plane = ledger.accounts["plane"]
    assert (plane.arrived, plane.repaired, plane.rate, plane.latest_s) == (3, 1, 0.25, 600.0)
    assert (ledger.seq, ledger.accounts["gitea"].rate) == (5, 0.0)
    assert counted(ledger, 6, said(Origin.WEBHOOK, day=21)).accounts["plane"].repaired == 0


@pytest.mark.behaviour("RC-11")
def test_what_no_webhook_could_tell_is_no_loss() -> None:
    gone = IssueClosed(**carried(Origin.RECONCILER), how=CloseKind.DELETED)
    related = IssueChanged(**carried(Origin.RECONCILER), issue_id="i", title="t", fields=("relations",))
    nudged = Nudged(**carried(Origin.RECONCILER, "engine"), gate_id="g", reason="")
    assert ledger_of(gone, related, nudged, said(Origin.OPERATOR)).accounts == {}


@pytest.mark.behaviour("RC-11")
def test_a_source_is_silent_after_repairs_in_a_row_and_lossy_above_the_threshold() -> None:
    came, found = said(Origin.WEBHOOK), said(Origin.RECONCILER)
    assert alarms(ledger_of(came, found, found), 0.1) == {}
    silent = ledger_of(came, found, found, found)
    assert alarms(silent, 0.1) == {"plane": "silent"}
    assert alarms(counted(silent, 9, came), 0.5) == {}
    lossy = ledger_of(*[came] * 8, found, found, came)
    assert alarms(lossy, 0.1) == {"plane": "lossy"}
    assert alarms(lossy, 0.5) == {}
    assert "switches it off after six failed deliveries" in words("plane", "silent", silent.accounts["plane"])
    assert "2 of 11 facts" in words("plane", "lossy", lossy.accounts["plane"])
    assert "recent deliveries" in words("gitea", "silent", Account())


class Behind:
    """A log of three CI results that only the reconciler found."""

    async def behind(self, seq: int) -> AsyncIterator[tuple[int, AnyEvent]]:
        for number in range(seq + 1, 4):
            at = carried(Origin.RECONCILER, "gitea")
            yield number, CommitStatusChanged(**at, sha="aaa", context="all contexts", state="green")


@pytest.mark.behaviour("RC-11")
@pytest.mark.parametrize(("tells_ci", "alerts"), [(True, 1), (False, 0)])
async def test_a_forge_that_never_tells_of_ci_is_not_called_silent_for_it(*, tells_ci: bool, alerts: int) -> None:
    """Forgejo tells no commit status by webhook, so each is found by polling."""
    told: list[str] = []

    async def tell(text: str, _key: str, _level: Any = "") -> None:
        told.append(text)

    async def asked() -> bool:
        return tells_ci

    bus = Bus([])
    for _ in range(2):
        await Senders(Behind(), bus, (tell,), 0.1, asked).count()
    assert len(told) == alerts


@pytest.mark.behaviour("RC-10")
def test_a_run_whose_runner_is_gone_is_found() -> None:
    run = Run(run_id="r1", role="developer", agent="claude", attempt=1, runner_id="one", started_at=NOW)
    at = NOW - timedelta(hours=1)
    task = Task(
        project="shop",
        key="SHOP-1",
        issue_id="i",
        title="t",
        stage="development",
        branch="b",
        created_at=at,
        entered_at=at,
        waiting=Waiting.RUN,
        run=run,
    )
    later = NOW + timedelta(hours=1)
    assert orphans([task], ["two"], later, 600) == ["r1"]
    assert orphans([task], ["one"], later, 600) == []
    assert orphans([task], ["two"], NOW, 600) == []
