"""A thousand passes over a world in sync: no event, nobody told, nothing logged above debug, no closer look (RC-6)."""

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from conveyor.contracts.project import Project
from conveyor.reconciler.handlers import Reconciler
from conveyor.reconciler.settings import ReconcilerSettings
from tests.unit.reconciler.fakes import Bus, Clock, Tracker, world_of
from tests.unit.reconciler.worlds import in_sync

PASSES = 1000
TASKS = 500


@pytest.mark.behaviour("RC-6", "RC-9")
async def test_a_thousand_passes_over_a_world_in_sync_are_silent(project: Project) -> None:
    tasks, issues = in_sync(TASKS)
    clock, tracker, bus = Clock(), Tracker(issues), Bus(tasks)
    reconciler = Reconciler(world_of(project, issues, bus, tracker=tracker, clock=clock), ReconcilerSettings())
    with capture_logs() as logged:
        await reconciler.run_pass()
        looks_at_first = tracker.looks
        for _ in range(PASSES - 1):
            clock.at += timedelta(minutes=2)
            report = await reconciler.run_pass()
            assert (report.repaired, report.failed, report.duplicates) == (0, 0, 0)
            assert report.looked >= TASKS // 4, "tasks that wait on the forge are looked at each time"
    assert {line["log_level"] for line in logged} == {"debug"}
    assert (tracker.lists, tracker.looks, bus.wholes) == (PASSES, looks_at_first, 1)
