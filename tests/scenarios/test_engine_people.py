"""People before the engine: who may speak, when a word counts, what ends a task; and what reaches them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from conveyor.contracts import subjects
from conveyor.contracts.commands import CancelRun
from conveyor.contracts.events import VerdictGiven
from conveyor.contracts.task import CANCELLED, DONE, Waiting
from conveyor.servicekit.bus import Bus, EventLog, serve
from conveyor.servicekit.nats_process import NatsProcess
from conveyor.simulator.plane.world import GUEST
from tests.rigs.house import KEY, REPO, House
from tests.rigs.stage import Stage, open_stage
from tests.rigs.stand_in_runner import Play

Eventually = Callable[..., Awaitable[Any]]


@pytest.fixture
async def stage(bus: Bus, nats: NatsProcess, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(bus, nats.url, tmp_path) as stage:
        yield stage


@pytest.mark.behaviour("SE-7")
async def test_guests_and_strangers_may_not_approve_members_may(stage: Stage) -> None:
    plane = stage.house.plane
    guest, member = plane.add_user("Gus", GUEST), plane.add_user("Mia")
    stage.begin()
    await stage.reaches("analysis", Waiting.PERSON)
    plane.comment(KEY, ":approved:", by=guest)
    plane.move_issue(KEY, "Approved", by=guest)
    await stage.reaches("analysis", Waiting.PERSON)
    plane.comment(KEY, ":approved:", by=member)
    task = await stage.reaches(DONE)
    assert "approved by Mia" in await stage.notes()
    assert task.stage == DONE


@pytest.mark.behaviour("SE-7")
async def test_only_the_projects_approvers_count(bus: Bus, nats: NatsProcess, tmp_path: Path) -> None:
    async with open_stage(bus, nats.url, tmp_path, approvers=("Mia",)) as stage:
        mia = stage.house.plane.add_user("Mia")
        stage.begin()
        await stage.reaches("analysis", Waiting.PERSON)
        stage.house.plane.comment(KEY, ":approved:")
        await stage.reaches("analysis", Waiting.PERSON)
        stage.house.plane.comment(KEY, ":approved:", by=mia)
        await stage.reaches(DONE)


@pytest.mark.behaviour("SE-7")
async def test_an_approval_by_status_is_dated_by_the_activity_list(stage: Stage, eventually: Eventually) -> None:
    """Plane tells of a move before its list of activities does: the verdict waits for the list."""
    plane = stage.house.plane
    stage.begin()
    await stage.reaches("analysis", Waiting.PERSON)
    plane.hold_history()
    plane.move_issue(KEY, "Approved")
    await plane.courier.idle()
    await eventually(stage.house.unquiet)
    task = await stage.house.task()
    assert task is not None
    assert task.waiting is Waiting.PERSON
    plane.release_history()
    task = await stage.reaches(DONE)
    moved = next(one for one in plane.activities_of(KEY) if one.new_value == "Approved")
    verdict = next(one.record for one in await stage.house.revisions() if isinstance(one.record.event, VerdictGiven))
    assert verdict.event.at == moved.created_at
    assert verdict.event.actor is not None
    assert verdict.event.actor.actor_id == plane.owner.id


@pytest.mark.behaviour("SE-7")
async def test_an_approval_that_was_taken_back_is_none(stage: Stage) -> None:
    """The issue stands elsewhere by the time anybody looks: the word no longer holds."""
    plane = stage.house.plane
    stage.begin()
    await stage.reaches("analysis", Waiting.PERSON)
    plane.answer_next(503, 1)
    plane.move_issue(KEY, "Approved")
    plane.move_issue(KEY, "In Review", quietly=True)
    task = await stage.reaches("analysis", Waiting.PERSON)
    assert len(stage.runner.taken) == 1
    assert task.waiting is Waiting.PERSON


@pytest.mark.behaviour("SE-7")
async def test_a_rejection_in_analysis_runs_the_analyst_again_with_the_reason(stage: Stage) -> None:
    stage.begin()
    await stage.reaches("analysis", Waiting.PERSON)
    stage.house.plane.comment(KEY, ":rejected: say which tea")
    await stage.reaches("analysis", Waiting.PERSON)
    assert [run.role for run in stage.runner.taken] == ["analyst", "analyst"]
    assert "say which tea" in stage.runner.taken[1].instructions


@pytest.mark.behaviour("SE-3")
async def test_the_same_facts_again_change_nothing(stage: Stage) -> None:
    """Whatever comes a second time, under its own id or another, in whatever order: nothing moves."""
    stage.begin()
    await stage.approved()
    await stage.reaches(DONE)
    before = await stage.house.revisions()
    history = await EventLog(stage.house.bus).history("shop", KEY)
    for _, _, event in reversed(history):
        assert not isinstance(event, Exception)
        assert (await EventLog(stage.house.bus).publish(event)).duplicate
        await stage.house.publish(structs.replace(event, event_id=f"again-{event.event_id}"))
    await stage.reaches(DONE)
    assert await stage.house.revisions() == before


@pytest.mark.behaviour("SE-5")
async def test_the_start_status_on_a_busy_task_does_nothing(stage: Stage) -> None:
    stage.runner.will("analyst", Play(never_ends=True))
    stage.begin()
    await stage.reaches("analysis", Waiting.RUN)
    stage.house.plane.move_issue(KEY, "To Analyse")
    await stage.reaches("analysis", Waiting.RUN)
    assert len(stage.runner.taken) == 1


@pytest.mark.behaviour("SE-5")
async def test_a_project_without_the_start_status_starts_by_in_progress(
    bus: Bus, nats: NatsProcess, tmp_path: Path
) -> None:
    def rename(house: House) -> None:
        (project,) = house.plane.world.projects.values()
        house.plane.state(project, "To Analyse").name = "Whatever"

    async with open_stage(bus, nats.url, tmp_path, prepare=rename) as stage:
        issue = stage.house.issue()
        stage.house.plane.move_issue(issue, "In Progress")
        await stage.reaches("analysis", Waiting.PERSON)


@pytest.mark.behaviour("SE-19")
@pytest.mark.parametrize(("status", "end"), [("Cancelled", CANCELLED), ("Done", DONE)])
async def test_a_person_ends_the_task_and_its_run_is_stopped(stage: Stage, status: str, end: str) -> None:
    house, told = stage.house, asyncio.Event()

    async def owner(_question: bytes) -> bytes:
        told.set()
        return b"stopping"

    stage.runner.will("analyst", Play(never_ends=True))
    stage.begin()
    task = await stage.reaches("analysis", Waiting.RUN)
    assert task.run is not None
    stop = await serve(house.bus, subjects.run_control(task.run.run_id), owner)
    house.plane.move_issue(KEY, status)
    await stage.reaches(end)
    assert told.is_set()
    assert any(isinstance(one, CancelRun) for one in await house.commands())
    assert house.status() == status
    await stop()


@pytest.mark.behaviour("SE-12", "SE-10")
async def test_red_ci_after_a_webhook_is_told_once_and_goes_back_to_development(
    bus: Bus, nats: NatsProcess, tmp_path: Path
) -> None:
    async with open_stage(bus, nats.url, tmp_path, ci=True) as stage:
        stage.begin()
        await stage.approved()
        task = await stage.reaches("development", Waiting.FACTS)
        await stage.house.gitea.set_status(REPO, task.head, "ci/test", "failure")
        second = await stage.reaches("development", Waiting.FACTS)
        assert second.head != task.head
        assert second.budget.rollbacks == {"development": 1}
        assert "red" in stage.runner.taken[-1].instructions
        assert sum("is red" in text for text in stage.house.comments()) == 1
        stage.house.gitea.enable_ci(REPO)
        await stage.house.gitea.set_status(REPO, second.head, "ci/test", "success")
        await stage.reaches(DONE)


@pytest.mark.behaviour("SE-10")
async def test_changes_requested_on_the_pull_request_go_back_to_development(stage: Stage) -> None:
    stage.runner.will("tester", Play(never_ends=True))
    stage.begin()
    await stage.approved()
    task = await stage.reaches("testing", Waiting.RUN)
    stage.house.gitea.request_changes(REPO, task.pull_request, "Name it better.", by="ada")
    await stage.reaches(DONE)
    developers = [run for run in stage.runner.taken if run.role == "developer"]
    assert "Name it better." in developers[1].instructions


@pytest.mark.behaviour("SE-21")
async def test_a_tracker_in_trouble_is_told_later_once_and_in_order(stage: Stage) -> None:
    stage.house.plane.answer_next(503, 3)
    stage.begin()
    await stage.reaches("analysis", Waiting.PERSON)
    assert [text.split()[0] for text in stage.house.comments()] == ["Conveyor", "The"]
    assert stage.house.status() == "In Review"
