"""Changes that fire no webhook at all: the reconciler finds them, the engine acts as if somebody had told (RC-11)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from conveyor.contracts.events import CloseKind, IssueClosed
from conveyor.contracts.task import CANCELLED, CREATED, DONE, Waiting
from conveyor.servicekit.bus import Bus
from conveyor.servicekit.nats_process import NatsProcess
from tests.rigs import sweeping
from tests.rigs.house import KEY
from tests.rigs.stage import Stage, open_stage

OTHER = "SHOP-2"


@pytest.fixture
async def stage(bus: Bus, nats: NatsProcess, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(bus, nats.url, tmp_path) as stage:
        yield stage


async def swept(stage: Stage, passes: int = 1) -> int:
    """Make passes of one reconciler; how much the last repaired."""
    async with sweeping.reconciler(stage.house) as sweeper:
        reports = [await sweeper.run_pass() for _ in range(passes)]
    return reports[-1].repaired


@pytest.mark.behaviour("RC-2", "RC-11", "SE-19")
@pytest.mark.parametrize("way", ["deleted", "archived"])
async def test_the_task_of_an_issue_that_is_gone_ends(way: str, stage: Stage) -> None:
    plane = stage.house.plane
    stage.begin()
    await stage.reaches("analysis", Waiting.PERSON)
    if way == "deleted":
        plane.delete_issue(KEY)
    else:
        plane.archive_issue(KEY)
    assert await swept(stage) == 1
    await stage.reaches(CANCELLED)
    (end,) = [one.record.event for one in await stage.house.revisions() if isinstance(one.record.event, IssueClosed)]
    assert end.how is CloseKind.DELETED
    assert await swept(stage, 2) == 0


@pytest.mark.behaviour("RC-11")
async def test_a_published_draft_in_the_start_status_begins(stage: Stage) -> None:
    plane = stage.house.plane
    (project,) = plane.world.projects.values()
    draft = plane.create_draft(project, "Sell tea")
    draft.state_id = plane.state(project, "To Analyse").id
    assert await swept(stage) == 0
    plane.publish_draft(draft)
    assert await swept(stage) == 1
    await stage.reaches("analysis", Waiting.PERSON)


@pytest.mark.behaviour("RC-11", "SE-15")
async def test_a_relation_made_later_holds_the_task_and_its_end_lets_it_go_on(stage: Stage) -> None:
    """Neither the relation nor the end of an issue that is no task of ours tells anybody."""
    plane = stage.house.plane
    stage.begin()
    blocker = stage.house.issue("Buy tea")
    await stage.reaches("analysis", Waiting.PERSON)
    plane.relate(KEY, "blocked_by", blocker)
    assert await swept(stage) == 1
    task = await stage.reaches("analysis", Waiting.PERSON)
    assert (task.depends_on, task.open_dependencies) == ((OTHER,), (OTHER,))
    plane.comment(KEY, ":approved:")
    await stage.reaches("architecture", Waiting.DEPENDENCY)
    assert await swept(stage, 2) == 0
    plane.move_issue(blocker, "Done")
    assert await swept(stage) == 1
    await stage.reaches(DONE)


@pytest.mark.behaviour("RC-11", "SE-19")
async def test_an_issue_that_the_tracker_closed_by_itself_ends_its_task(stage: Stage) -> None:
    """Its automation writes the state alone: no webhook, no activity by anybody."""
    plane = stage.house.plane
    issue = stage.begin()
    await stage.reaches("analysis", Waiting.PERSON)
    plane.move_issue(issue, "Cancelled", quietly=True)
    assert await swept(stage) == 1
    await stage.reaches(CANCELLED)


@pytest.mark.behaviour("RC-10", "SE-15")
async def test_a_false_unblocked_after_a_restart_is_not_told(stage: Stage) -> None:
    """What is not known to have ended is open, however often a reconciler begins anew and knows nothing yet."""
    stage.begin("Buy tea")
    await stage.reaches("analysis", Waiting.PERSON, KEY)
    waiting = stage.begin("Sell tea", f"<p>Depends-on: {KEY}</p>")
    await stage.reaches(CREATED, Waiting.DEPENDENCY, OTHER)
    for _ in range(3):
        assert await swept(stage) == 0
    task = await stage.house.task(OTHER)
    assert task is not None
    assert task.open_dependencies == (KEY,)
    stage.house.plane.comment(KEY, ":approved:")
    await stage.reaches(DONE, Waiting.NOTHING, KEY)
    await stage.reaches("analysis", Waiting.PERSON, stage.house.plane.key_of(waiting))
