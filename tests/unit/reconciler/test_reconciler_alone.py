"""What goes wrong with one thing stays with it, and a crash at the worst moment loses and doubles nothing (RC-6)."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from conveyor.contracts.commands import GateCause
from conveyor.contracts.errors import PermanentError, TransientError
from conveyor.contracts.events import BranchPushed, IssueClosed, IssueStarted, Nudged, Origin
from conveyor.contracts.observed import LONG_AGO, TrackerIssue
from conveyor.contracts.project import Project
from conveyor.contracts.task import GateWatch, Waiting
from conveyor.reconciler.handlers import Reconciler
from conveyor.reconciler.settings import ReconcilerSettings
from tests.unit.reconciler.fakes import Clock, Forge, Log, Tracker, lost, world_of
from tests.unit.reconciler.worlds import HOUR, NOW, in_sync


class Brittle(Tracker):
    """Cannot tell who moved some issues."""

    def __init__(self, issues: list[TrackerIssue], broken: dict[str, Exception]) -> None:
        super().__init__(issues)
        self.broken = broken

    async def last_move(self, project_id: str, issue_id: str) -> None:
        if error := self.broken.get(issue_id):
            raise error
        await super().last_move(project_id, issue_id)


@pytest.mark.behaviour("RC-6", "RC-9")
@pytest.mark.parametrize("error", [PermanentError("refused"), KeyError("nobody foresaw this")])
async def test_an_issue_that_fails_is_owed_and_holds_up_neither_the_others_nor_the_watermark(
    error: Exception, project: Project
) -> None:
    issues = [lost(1), lost(2), lost(3)]
    tracker, clock, log = Brittle(issues, {"lost-2": error}), Clock(), Log([])
    world = world_of(project, issues, log, tracker=tracker, clock=clock)
    for failing in (1, 1):
        report = await Reconciler(world, ReconcilerSettings()).run_pass()
        assert (report.failed, sorted(event.key for event in log.published)) == (failing, ["SHOP-1", "SHOP-3"])
        clock.at += timedelta(minutes=20)
    report = await Reconciler(world, ReconcilerSettings()).run_pass()
    assert report.listed == 0, "the watermark has moved on"
    tracker.broken = {}
    assert (await Reconciler(world, ReconcilerSettings()).run_pass()).repaired == 1
    assert sorted(event.key for event in log.published) == ["SHOP-1", "SHOP-2", "SHOP-3"]
    looks = tracker.looks
    await Reconciler(world, ReconcilerSettings()).run_pass()
    assert tracker.looks == looks, "nothing is owed any more"


@pytest.mark.behaviour("RC-6")
async def test_a_list_that_breaks_off_is_read_again(project: Project) -> None:
    class Torn(Tracker):
        async def changed_issues(self, project_id: str, since: datetime) -> Any:
            async for issue in super().changed_issues(project_id, since):
                yield issue
                if self.lists == 1:
                    raise TransientError("the second page did not come")

    issues = [lost(1), lost(2)]
    log = Log([])
    reconciler = Reconciler(world_of(project, issues, log, tracker=Torn(issues)), ReconcilerSettings())
    assert [(await reconciler.run_pass()).repaired for _ in range(3)] == [1, 1, 0]


@pytest.mark.behaviour("RC-6")
async def test_a_list_that_shifted_while_it_was_read_costs_no_fact(project: Project) -> None:
    """Pages are counted from the start: what leaves an earlier page pulls an issue out of the next one."""
    (task, *_), (issue, *_) = in_sync(1)
    done = structs.replace(issue, state_id="Cancelled", updated_at=NOW - HOUR)

    class Shifting(Tracker):
        async def changed_issues(self, project_id: str, since: datetime) -> Any:
            async for one in super().changed_issues(project_id, since):
                if one.issue_id != done.issue_id:
                    yield one

    log = Log([task])
    world = world_of(project, [done], log, tracker=Shifting([done, lost(9)]))
    await Reconciler(world, ReconcilerSettings()).run_pass()
    assert {(event.key, type(event)) for event in log.published} == {(task.key, IssueClosed), ("SHOP-9", IssueStarted)}


@pytest.mark.behaviour("RC-6")
@pytest.mark.parametrize("note", ["tracker.shop", "moved.shop", "last_pass"])
async def test_a_note_that_cannot_be_read_is_found_out_again(note: str, project: Project) -> None:
    log = Log([])
    log.noted[note] = b'{"looked_at": "yesterday", "pending": 7, "at": []}'
    report = await Reconciler(world_of(project, [lost(1)], log), ReconcilerSettings()).run_pass()
    assert (report.repaired, report.failed) == (1, 0)


@pytest.mark.behaviour("RC-7")
async def test_a_crash_after_publishing_loses_no_announcement(project: Project) -> None:
    """The answer never comes; the next reconciler finds the event stored, and tells of it once."""
    task, told = in_sync(1)[0][0], list[str]()
    task = structs.replace(task, key="SHOP-1", stage="analysis")

    async def tell(text: str, _key: str, _level: Any = "") -> None:
        told.append(text)

    log = Log([])
    log.is_deaf = True
    world = world_of(project, [lost(1)], log, messengers=(tell,))
    assert (await Reconciler(world, ReconcilerSettings()).run_pass()).failed == 1
    log.is_deaf = False
    log.store(task)
    for _ in range(3):
        await Reconciler(world, ReconcilerSettings()).run_pass()
    assert told == ["SHOP-1 is in analysis by a repair: plane told nobody of IssueStarted."]


@pytest.mark.behaviour("RC-1", "RC-7")
async def test_what_its_webhook_had_told_is_no_repair(project: Project) -> None:
    log, told = Log([]), list[str]()

    async def tell(text: str, _key: str, _level: Any = "") -> None:
        told.append(text)

    world = world_of(project, [lost(1)], log, messengers=(tell,))
    dry = await Reconciler(world, ReconcilerSettings(), is_dry=True).run_pass()
    log.published = [structs.replace(dry.found[0], origin=Origin.WEBHOOK)]
    report = await Reconciler(world, ReconcilerSettings()).run_pass()
    assert (report.repaired, report.duplicates) == (0, 1)
    log.store(in_sync(1)[0][0])
    await Reconciler(world, ReconcilerSettings()).run_pass()
    assert told == []


@pytest.mark.behaviour("RC-4")
async def test_a_crash_between_a_nudge_and_its_note_costs_a_second_nudge_and_not_the_only_one(
    project: Project,
) -> None:
    (task, *_), (issue, *_) = in_sync(1)
    gate = GateWatch(gate_id="g1", cause=GateCause.AGENT)
    task = structs.replace(task, stage="testing", waiting=Waiting.GATE, gate=gate)

    class Forgetful(Log):
        async def put(self, key: str, value: bytes) -> None:
            if key.startswith("nudged."):
                raise TransientError("killed here")
            await super().put(key, value)

    log = Forgetful([task])
    world = world_of(project, [issue], log)
    for _ in range(2):
        await Reconciler(world, ReconcilerSettings()).run_pass()
    assert [type(event) for event in log.published] == [Nudged]


@pytest.mark.behaviour("RC-2")
async def test_an_issue_without_a_time_counts_as_old_and_is_looked_at(project: Project) -> None:
    log = Log([])
    world = world_of(project, [lost(1, at=LONG_AGO)], log)
    assert (await Reconciler(world, ReconcilerSettings()).run_pass()).repaired == 1


@pytest.mark.behaviour("RC-2", "RC-11")
async def test_an_end_that_nobody_is_said_to_have_made_ends_the_task(project: Project) -> None:
    """The tracker's automation may leave no line in the history."""
    (task, *_), (issue, *_) = in_sync(1)
    log = Log([task])
    ended = structs.replace(issue, state_id="Cancelled", updated_at=NOW - HOUR)
    report = await Reconciler(world_of(project, [ended], log), ReconcilerSettings()).run_pass()
    (event,) = log.published
    assert isinstance(event, IssueClosed)
    assert (event.at, event.actor, report.repaired) == (NOW - HOUR, None, 1)


@pytest.mark.behaviour("RC-3")
async def test_a_branch_that_went_back_and_forth_is_told_of_though_the_log_knows_that_move(project: Project) -> None:
    """It went from one commit to another, back, and there again: the second time has the name of the first."""
    tasks, issues = in_sync(5)
    task, issue = tasks[4], issues[4]

    class Moved(Forge):
        async def branch_sha(self, _repo: str, _branch: str) -> str:
            return "bbb"

    told: list[str] = []

    async def tell(text: str, _key: str) -> None:
        told.append(text)

    log = Log([task])
    world = world_of(project, [issue], log, forge=Moved(), messengers=(tell,))
    dry = await Reconciler(world, ReconcilerSettings(), is_dry=True).run_pass()
    log.published = [structs.replace(dry.found[0], origin=Origin.WEBHOOK)]
    reports = [await Reconciler(world, ReconcilerSettings()).run_pass() for _ in range(2)]
    assert [report.repaired for report in reports] == [1, 0]
    first, again = log.published
    assert isinstance(again, BranchPushed)
    assert (again.sha, again.event_id != first.event_id, len(told)) == ("bbb", True, 1)
