"""Incidents of old, by name: each stays dead."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from conveyor.contracts import facts_ids
from conveyor.contracts.events import IssueStarted, Origin
from conveyor.contracts.task import DONE, Waiting
from conveyor.servicekit.bus import Bus, EventLog
from conveyor.servicekit.nats_process import NatsProcess
from tests.rigs import sweeping
from tests.rigs.house import KEY, REPO, House
from tests.rigs.stage import Stage, open_stage
from tests.rigs.stand_in_runner import Play

MANY = 20


@pytest.fixture
async def stage(bus: Bus, nats: NatsProcess, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(bus, nats.url, tmp_path, ci=True) as stage:
        yield stage


async def in_development(stage: Stage) -> Any:
    """A task whose developer has delivered and that waits for CI."""
    stage.begin()
    await stage.approved()
    return await stage.reaches("development", Waiting.FACTS)


async def repairs(stage: Stage, passes: int = 1, **settings: Any) -> list[int]:
    async with sweeping.reconciler(stage.house, **settings) as sweeper:
        return [(await sweeper.run_pass()).repaired for _ in range(passes)]


@pytest.mark.behaviour("RC-3")
async def test_a_lost_ci_status(stage: Stage) -> None:
    task = await in_development(stage)
    with stage.house.gitea.quietly():
        await stage.house.gitea.set_status(REPO, task.head, "ci/test", "success")
    assert await repairs(stage) == [1]
    await stage.reaches("review", Waiting.FACTS)


@pytest.mark.behaviour("RC-5", "RC-6")
async def test_an_escalated_task_bounced_for_ever(stage: Stage) -> None:
    """Its CI turns green, its branch can be merged, its issue is Approved by our own hand: it stays with people."""
    house = stage.house
    task = await in_development(stage)
    stage.runner.will("developer", *(Play(code={f"{one}.py": "tea"}) for one in range(4)))
    for _ in range(4):
        await house.gitea.set_status(REPO, task.head, "ci/test", "failure")
        before = task
        task = await stage.reaches(
            "development", Waiting.PERSON if before.budget.rollbacks.get("development") == 3 else Waiting.FACTS
        )
    assert task.is_escalated
    with house.gitea.quietly(), house.plane.quietly():
        await house.gitea.set_status(REPO, task.head, "ci/test", "success")
        house.plane.move_issue(KEY, "Approved", by=house.bot)
    before = len(await house.revisions())
    for _ in range(3):
        assert not any(await repairs(stage, MANY // 3))
    assert len(await house.revisions()) == before


def without_approved(house: House) -> None:
    """The project has no status Approved, so a careless table would take Done for it."""
    states = house.plane.world.states
    for state in [state for state in states.values() if state.name in {"Approved", "Rejected"}]:
        del states[state.id]


@pytest.mark.behaviour("RC-2", "RC-6")
async def test_a_done_issue_whose_state_id_is_aliased_to_approved(bus: Bus, nats: NatsProcess, tmp_path: Path) -> None:
    """It was taken for an approval in every pass: hundreds of messages in one night."""
    async with open_stage(bus, nats.url, tmp_path, prepare=without_approved) as stage:
        stage.begin()
        await stage.approved()
        await stage.reaches(DONE)
        said = stage.house.comments()
        for state in ("Todo", "Done"):  # a person's move, so that it is not passed over as our own
            stage.house.plane.move_issue(KEY, state, quietly=True)
        assert not any(await repairs(stage, MANY))
        assert stage.house.comments() == said


@pytest.mark.behaviour("RC-3")
async def test_a_rollback_and_a_merge_racing_each_other(stage: Stage) -> None:
    """A red CI sends the task back while a person merges by hand, and both webhooks are lost: the merge is a fact."""
    house = stage.house
    task = await in_development(stage)
    stage.runner.will("developer", Play(never_ends=True))
    await house.gitea.set_status(REPO, task.head, "ci/test", "failure")
    task = await stage.reaches("development", Waiting.RUN)
    with house.gitea.quietly():
        await house.gitea.merge_pull(REPO, task.pull_request, by="ada")
    assert await repairs(stage) == [1]
    task = await stage.reaches(DONE)
    assert await repairs(stage) == [0]
    assert task.merge_sha
    assert (await stage.notes()).count("development → deploy") == 1


@pytest.mark.behaviour("RC-1", "RC-6", "RC-10")
async def test_passes_over_what_stands_still_say_and_log_nothing(stage: Stage) -> None:
    house = stage.house
    await in_development(stage)
    stage.begin("Sell coffee")
    await stage.reaches("analysis", Waiting.PERSON, "SHOP-2")
    said = house.comments(), house.comments("SHOP-2")
    async with sweeping.reconciler(house) as sweeper:
        await sweeper.run_pass()
        with capture_logs() as logged:
            reports = [await sweeper.run_pass() for _ in range(MANY)]
    assert {line["log_level"] for line in logged} <= {"debug"}
    assert [(one.repaired, one.failed, one.duplicates) for one in reports] == [(0, 0, 0)] * MANY
    assert (house.comments(), house.comments("SHOP-2")) == said
    events = await EventLog(house.bus).history("shop", KEY)
    assert not any(not isinstance(event, Exception) and event.origin is Origin.RECONCILER for _, _, event in events)
    assert all(one.calls > 0 for one in reports)


@pytest.mark.behaviour("RC-7")
async def test_what_moved_is_told_once_per_issue_and_state_also_after_a_restart(stage: Stage) -> None:
    """And what was published and moved nothing is told to nobody."""
    told: list[str] = []

    async def tell(text: str, key: str, _level: str = "") -> None:
        told.append(f"{key}: {text}")

    stage.begin(quietly=True)
    async with sweeping.reconciler(stage.house, messengers=(tell,)) as sweeper:
        assert (await sweeper.run_pass()).repaired == 1
        assert told == []
        await stage.reaches("analysis", Waiting.PERSON)
    for _ in range(2):
        async with sweeping.reconciler(stage.house, messengers=(tell,)) as sweeper:
            await sweeper.run_pass()
    assert told == ["SHOP-1: SHOP-1 is in analysis by a repair: plane told nobody of IssueStarted."]
    stage.house.plane.edit_issue(KEY, name="Sell green tea", quietly=True)
    guest = stage.house.plane.add_user("Gus", 5)
    stage.house.plane.comment(KEY, ":approved:", by=guest, quietly=True)
    async with sweeping.reconciler(stage.house, messengers=(tell,)) as sweeper:
        assert (await sweeper.run_pass()).repaired == 2
        await stage.reaches("analysis", Waiting.PERSON)
        await sweeper.run_pass()
    assert [text for text in told if "by a repair" in text] == told[:1]


@pytest.mark.behaviour("RC-8")
async def test_each_side_can_be_switched_off(stage: Stage) -> None:
    task = await in_development(stage)
    stage.house.plane.edit_issue(KEY, name="Sell green tea", quietly=True)
    with stage.house.gitea.quietly():
        await stage.house.gitea.set_status(REPO, task.head, "ci/test", "success")
    assert await repairs(stage, tracker=False, forge=False) == [0]
    assert await repairs(stage, forge=False) == [1]
    assert await repairs(stage, tracker=False) == [1]


@pytest.mark.behaviour("RC-1", "SE-3")
async def test_a_webhook_that_comes_after_its_repair_changes_nothing(stage: Stage) -> None:
    """A move has two names when Plane's own time of it differs from its activity's; the second is passed over."""
    house = stage.house
    stage.begin(quietly=True)
    assert await repairs(stage) == [1]
    await stage.reaches("analysis", Waiting.PERSON)
    issue = house.plane.issue(KEY)
    moved = next(one for one in house.plane.activities_of(KEY) if one.new_value == "To Analyse")
    late = facts_ids.issue_moved(issue.id, moved.new_identifier or "", moved.created_at - timedelta(milliseconds=40))
    header = house.said(KEY, late, moved.created_at - timedelta(milliseconds=40))
    before = await house.revisions()
    await house.publish(IssueStarted(**header, issue_id=issue.id, title=issue.name))
    await stage.reaches("analysis", Waiting.PERSON)
    assert await house.revisions() == before


@pytest.mark.behaviour("RC-8", "RC-11")
async def test_a_silent_source_is_told_of_once_also_after_a_restart_and_repairs_only_where_wanted(
    stage: Stage,
) -> None:
    told: list[str] = []

    async def tell(text: str, _key: str, level: str = "") -> None:
        told.append(f"{level}: {text}")

    for number in range(3):
        stage.begin(f"Sell tea {number}", quietly=True)
    for _ in range(2):
        async with sweeping.reconciler(stage.house, messengers=(tell,), announce=False) as sweeper:
            await sweeper.run_pass()
        for number in range(3):
            await stage.reaches("analysis", Waiting.PERSON, f"SHOP-{number + 1}")
    (alarm,) = told
    assert alarm.startswith("alert: Plane has gone silent: the last 3 facts came by the reconciler alone.")
