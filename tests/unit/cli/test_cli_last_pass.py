"""What operators see of the reconciler's last pass."""

from datetime import UTC, datetime, timedelta

import pytest

from conveyor.cli.show.last_pass import line
from conveyor.reconciler.core.losses import Account
from conveyor.reconciler.handlers import Report
from conveyor.reconciler.last_pass import shown

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.mark.behaviour("RC-10", "RC-11")
def test_the_last_pass_is_told_in_one_line() -> None:
    report = Report(
        at=NOW - timedelta(minutes=1),
        duration_s=2.5,
        calls=51,
        ended=7,
        repaired=1,
        duplicates=3,
        last_repaired="SHOP-1",
        last_repaired_at=NOW - timedelta(hours=1),
        losses={"plane": Account(arrived=9, repaired=1), "gitea": Account(arrived=5)},
        orphans=["shop-SHOP-2-r3"],
        branches={"shop": ["feature/SHOP-4-tea"], "cafe": []},
    )
    text = line(shown(report), NOW)
    for part in (
        "51 calls",
        "1 repaired, 3 known already, 7 ended, 0 failed",
        "SHOP-1",
        "plane 10%",
        "shop-SHOP-2-r3",
        "ago: 1",
    ):
        assert part in text
    assert "gitea" not in text
    assert line(None, NOW) == "Reconciler: no pass was made yet."
