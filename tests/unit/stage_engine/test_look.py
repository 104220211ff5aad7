"""What an event tells is read again before it is decided: dependencies from text and relations, reviews that hold."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from conveyor.adapters.gitea import GiteaForge
from conveyor.adapters.plane import PlaneTracker
from conveyor.contracts.errors import TransientError
from conveyor.contracts.events import (
    Actor,
    IssueChanged,
    IssueStarted,
    Origin,
    ReviewSubmitted,
    ReviewValue,
    VerdictGiven,
    VerdictValue,
    Via,
)
from conveyor.contracts.pipelines import default_pipeline
from conveyor.contracts.project import Project
from conveyor.contracts.task import CANCELLED, Task
from conveyor.simulator.gitea import GiteaServer
from conveyor.simulator.gitea.reviews import dismiss_review
from conveyor.simulator.plane.server import PlaneOptions, PlaneServer
from conveyor.stage_engine.look import Look
from conveyor.stage_engine.projects import Projects

AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
REPO, BRANCH = "acme/shop", "feature/SHOP-1-tea"


@dataclass
class Bench:
    plane: PlaneServer
    gitea: GiteaServer
    look: Look
    task: Task
    number: int

    def told(self) -> dict[str, Any]:
        return {
            "event_id": "e",
            "project": "shop",
            "key": "SHOP-1",
            "at": AT,
            "received_at": AT,
            "source": "test",
            "origin": Origin.WEBHOOK,
            "trace_id": "t",
        }

    async def asks_for_changes(self) -> bool:
        """Whether ada's request for changes, told now, is taken for one."""
        actor = Actor(actor_id="ada", name="ada")
        review = ReviewSubmitted(
            **self.told(), actor=actor, number=self.number, review=ReviewValue.REJECTED, head_sha=self.task.head
        )
        return await self.look.at(self.task, review) is not None


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """SHOP-1 is blocked by SHOP-2 in the tracker, and has a pull request that ada may review."""
    async with AsyncExitStack() as stack:
        plane = await stack.enter_async_context(PlaneServer(PlaneOptions(slug="acme", rate_limit=None)))
        gitea = await stack.enter_async_context(GiteaServer(tmp_path / "gitea"))
        project, bot = plane.create_project("Shop", "SHOP"), plane.add_user("Conveyor", is_bot=True)
        issue, other = plane.create_issue(project, "Tea"), plane.create_issue(project, "Cups")
        plane.relate(issue, "blocked_by", other)
        for login in ("acme", "ada", "bea"):
            gitea.create_user(login)
        await gitea.create_repo(REPO)
        head = await gitea.push(REPO, BRANCH, {"tea.py": "green"})
        number = (await gitea.open_pull(REPO, BRANCH)).number
        tracker = PlaneTracker(plane.url, plane.slug, bot.api_key)
        forge = GiteaForge(gitea.url, gitea.create_token("acme"))
        stack.push_async_callback(tracker.close)
        stack.push_async_callback(forge.close)
        shop = Project(name="shop", tracker_project_id=project.id, identifier="SHOP", repository=REPO)
        task = Task(
            project="shop",
            key="SHOP-1",
            issue_id=issue.id,
            title="Tea",
            stage="review",
            created_at=AT,
            entered_at=AT,
            branch=BRANCH,
            head=head,
        )
        yield Bench(
            plane, gitea, Look(Projects((shop,), {"default": default_pipeline()}), tracker, forge), task, number
        )


@pytest.mark.behaviour("SE-15")
async def test_an_edited_description_keeps_what_the_trackers_relations_say(bench: Bench) -> None:
    edited = IssueChanged(**bench.told(), issue_id=bench.task.issue_id, title="Tea", depends_on=("SHOP-7", "SHOP-1"))
    seen = await bench.look.at(bench.task, edited)
    assert isinstance(seen, IssueChanged)
    assert seen.depends_on == ("SHOP-7", "SHOP-2")
    renamed = structs.replace(edited, depends_on=None)
    assert await bench.look.at(bench.task, renamed) == renamed


@pytest.mark.behaviour("SE-15")
async def test_a_task_taken_up_again_depends_on_what_its_relations_say_now(bench: Bench) -> None:
    bench.plane.move_issue("SHOP-1", "To Analyse")
    started = IssueStarted(**bench.told(), issue_id=bench.task.issue_id, title="Tea", depends_on=("SHOP-7",))
    seen = await bench.look.at(structs.replace(bench.task, stage=CANCELLED), started)
    assert isinstance(seen, IssueStarted)
    assert seen.depends_on == ("SHOP-7", "SHOP-2")


@pytest.mark.behaviour("SE-5")
async def test_a_late_start_does_not_take_another_status_for_the_start_status(bench: Bench) -> None:
    """The project has To Analyse, so In Progress starts nothing there, whatever an old delivery told."""
    started = IssueStarted(**bench.told(), issue_id=bench.task.issue_id, title="Tea")
    cancelled = structs.replace(bench.task, stage=CANCELLED)
    bench.plane.move_issue("SHOP-1", "In Progress")
    assert await bench.look.at(cancelled, started) is None
    bench.plane.move_issue("SHOP-1", "To Analyse")
    assert await bench.look.at(cancelled, started) is not None


@pytest.mark.behaviour("SE-10")
async def test_a_request_for_changes_counts_while_it_is_the_reviewers_last_word(bench: Bench) -> None:
    review = bench.gitea.request_changes(REPO, bench.number, "Name it better.", by="ada")
    bench.gitea.comment_review(REPO, bench.number, "See above.", by="ada")
    bench.gitea.approve_review(REPO, bench.number, by="bea")
    assert await bench.asks_for_changes()
    dismiss_review(bench.gitea.pull(REPO, bench.number), review.id)
    assert not await bench.asks_for_changes(), "dismissed"
    bench.gitea.request_changes(REPO, bench.number, "Still.", by="ada")
    assert await bench.asks_for_changes()
    bench.gitea.approve_review(REPO, bench.number, by="ada")
    assert not await bench.asks_for_changes(), "approved since"


@pytest.mark.behaviour("SE-10")
async def test_a_request_for_changes_of_an_older_commit_does_not_count(bench: Bench) -> None:
    bench.gitea.request_changes(REPO, bench.number, "Name it better.", by="ada")
    bench.task = structs.replace(bench.task, head=await bench.gitea.push(REPO, BRANCH, {"tea.py": "black"}))
    assert not await bench.asks_for_changes()


@pytest.mark.behaviour("SE-7", "SE-21")
async def test_a_list_of_moves_that_lags_behind_is_asked_for_ever_more_rarely(bench: Bench) -> None:
    bench.plane.hold_history()
    bench.plane.move_issue("SHOP-1", "Approved")
    verdict = VerdictGiven(**bench.told(), verdict=VerdictValue.APPROVED, via=Via.STATUS)
    with pytest.raises(TransientError, match="not yet listed") as later:
        await bench.look.at(bench.task, verdict)
    assert later.value.retry_after_s is None, "the consume loop's own waits double"
