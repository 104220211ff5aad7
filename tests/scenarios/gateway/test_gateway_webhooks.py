"""The gateway as Plane and Gitea meet it: real HTTP, a real bus, simulated senders."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec import structs

from conveyor.adapters.plane import cache
from conveyor.contracts import codec
from conveyor.contracts.events import (
    CommentAdded,
    CommitStatusChanged,
    IssueChanged,
    IssueClosed,
    IssueStarted,
    Origin,
    VerdictGiven,
    VerdictValue,
)
from conveyor.contracts.streams import LOOKUP
from conveyor.contracts.task import Task
from conveyor.contracts.transition import TaskRecord
from conveyor.servicekit.bus import Bucket, Bus, EventLog, TaskStore, provision
from conveyor.servicekit.clock import SYSTEM_CLOCK, SystemClock
from conveyor.servicekit.nats_process import NatsProcess
from conveyor.simulator.gitea import GiteaServer
from conveyor.simulator.plane.server import PlaneServer
from tests.scenarios.gateway.house import GITEA_SECRET, NEW, House, running, settings_of, signature


class NextWeek(SystemClock):
    """A clock that is eight days ahead of the senders."""

    def now(self) -> datetime:
        return super().now() + timedelta(days=8)


@pytest.mark.behaviour("GW-6", "GW-7")
async def test_an_issue_moved_to_the_start_status_is_on_disk_before_the_answer(house: House) -> None:
    (project,) = house.plane.world.projects.values()
    house.plane.create_issue(project, "Sell tea", "<p>Text</p><p>Depends-on: SHOP-9</p><p>more</p>")
    await house.delivered()
    house.plane.move_issue("SHOP-1", "To Analyse", drag=True)
    assert await house.delivered() == [202, 200, 202]
    (event,) = await house.events()
    assert isinstance(event, IssueStarted)
    assert (event.title, event.depends_on) == ("Sell tea", ("SHOP-9",))
    assert event.actor is not None
    assert event.actor.name == "Ada"
    assert event.delivery_id
    assert len(event.trace_id) == 32


@pytest.mark.behaviour("GW-6")
async def test_a_start_status_added_a_moment_ago_starts(
    senders: tuple[PlaneServer, GiteaServer], nats: NatsProcess, bus: Bus, tmp_path: Path, monkeypatch: Any
) -> None:
    """As when somebody sets the project up while everything runs already."""
    monkeypatch.setattr(cache, "RETRY_S", 0.0)
    plane, _ = senders
    settings = settings_of(senders, plane.add_user("Conveyor", is_bot=True), nats.url, tmp_path / "spool")
    plain = plane.create_project("Plain", "PLAIN", states=(("Todo", "unstarted", "#111"),))
    (project,) = settings.project
    project = structs.replace(project, name="plain", tracker_project_id=plain.id, identifier="PLAIN")
    async with running(structs.replace(settings, project=(project,))) as server:
        plane.add_webhook(f"{server.url}/webhook/plane", secret=NEW)
        plane.create_issue(plain, "Sell tea")
        await plane.courier.idle()
        plane.tracker.create_state(plain, ("To Analyse", "unstarted", "#222222"), plane.owner)
        plane.move_issue("PLAIN-1", "To Analyse")
        await plane.courier.idle()
    history = await EventLog(bus).history("plain", "PLAIN-1")
    assert [type(event) for _, _, event in history] == [IssueStarted]


@pytest.mark.behaviour("GW-4")
async def test_the_same_fact_is_stored_once_however_often_it_is_delivered(house: House) -> None:
    (project,) = house.plane.world.projects.values()
    house.plane.courier.duplicate_next(match="issue updated")
    house.plane.create_issue(project, "Sell tea")
    house.plane.move_issue("SHOP-1", "To Analyse")
    assert await house.delivered() == [202, 200, 200]
    assert len(await house.events()) == 1
    assert 'outcome="duplicate"' in await house.figures()


@pytest.mark.behaviour("GW-4")
async def test_a_fact_older_than_the_streams_memory_is_still_known(
    senders: tuple[PlaneServer, GiteaServer], nats: NatsProcess, bus: Bus, tmp_path: Path
) -> None:
    """The stream forgets ids after a week; Gitea keeps what it can send again for as long."""
    plane, _ = senders
    (project,) = plane.world.projects.values()
    bot = plane.add_user("Conveyor", is_bot=True)
    async with running(settings_of(senders, bot, nats.url, tmp_path / "spool"), NextWeek()) as server:
        plane.add_webhook(f"{server.url}/webhook/plane", secret=NEW)
        plane.create_issue(project, "Sell tea", state="To Analyse")
        await plane.courier.idle()
        ((_, _, event),) = await EventLog(bus).history("shop", "SHOP-1")
        assert isinstance(event, IssueStarted)
        await bus.api("STREAM.DELETE.EVENTS")
        await provision(bus)
        await bus.request("event.shop.SHOP-1.issue_started", codec.encode(event))
        delivery = plane.courier.deliveries[-1]
        async with httpx.AsyncClient() as client:
            answer = await client.post(delivery.url, content=delivery.body, headers=delivery.headers)
        assert (answer.status_code, answer.json()["status"]) == (200, "duplicate")
        assert len(await EventLog(bus).history("shop", "SHOP-1")) == 1


@pytest.mark.behaviour("GW-5")
async def test_what_the_bot_does_never_comes_back_as_an_event(house: House) -> None:
    (project,) = house.plane.world.projects.values()
    house.plane.create_issue(project, "Sell tea")
    house.plane.move_issue("SHOP-1", "To Analyse", by=house.bot)
    house.plane.comment("SHOP-1", ":approved:", by=house.bot)
    await house.gitea.push("acme/shop", "feature/SHOP-1-sell-tea", {"a.txt": "a"}, by="conveyor")
    assert set(await house.delivered()) == {202}
    assert await house.events() == []
    assert 'reason="own_account"' in await house.figures()


@pytest.mark.behaviour("SE-7", "GW-6")
async def test_comments_find_their_task_and_edited_ones_are_no_commands(house: House) -> None:
    (project,) = house.plane.world.projects.values()
    issue = house.plane.create_issue(project, "Sell tea")
    said = house.plane.comment("SHOP-1", "use green tea")
    await house.delivered()
    house.plane.edit_comment(said, ":approved:")
    forged = house.plane.comment("SHOP-1", "hello")
    house.plane.edit_comment(forged, ":approved:")
    await house.delivered()
    await Bucket(house.bus, LOOKUP).put(f"issue.{issue.id}", b"SHOP-1")
    house.plane.comment("SHOP-1", ":rejected: too little milk")
    await house.delivered()
    first, second = await house.events()
    assert isinstance(first, CommentAdded)
    assert first.text == "use green tea"
    assert isinstance(second, VerdictGiven)
    assert (second.verdict, second.reason) == (VerdictValue.REJECTED, "too little milk")


@pytest.mark.behaviour("GW-8")
async def test_a_commit_status_finds_its_task_by_the_branch_that_stands_there(house: House) -> None:
    with house.gitea.quietly():
        sha = await house.gitea.push("acme/shop", "feature/SHOP-1-sell-tea", {"a.txt": "a"}, by="ada")
        stray = await house.gitea.push("acme/shop", "spike", {"b.txt": "b"}, by="ada")
    await house.gitea.set_status("acme/shop", sha, "ci/test", "success")
    await house.gitea.set_status("acme/shop", stray, "ci/test", "failure")
    assert await house.delivered() == [200, 202]
    (event,) = await house.events()
    assert isinstance(event, CommitStatusChanged)
    assert (event.sha, event.context, event.state) == (sha, "ci/test", "success")
    assert 'reason="no_task"' in await house.figures()


@pytest.mark.behaviour("GW-8")
async def test_a_commit_status_finds_its_task_by_what_the_runner_noted(house: House) -> None:
    with house.gitea.quietly():
        sha = await house.gitea.push("acme/shop", "elsewhere", {"a.txt": "a"}, by="ada")
    await Bucket(house.bus, LOOKUP).put(f"commit.{sha}", b"shop/SHOP-7")
    await house.gitea.set_status("acme/shop", sha, "ci/test", "failure")
    await house.delivered()
    (event,) = await house.events("SHOP-7")
    assert isinstance(event, CommitStatusChanged)


@pytest.mark.behaviour("GW-6")
async def test_pushes_pull_requests_and_reviews_are_told(house: House) -> None:
    branch = "feature/SHOP-1-sell-tea"
    await house.gitea.push("acme/shop", branch, {"a.txt": "a"}, by="ada")
    pull = await house.gitea.open_pull("acme/shop", branch, by="ada")
    house.gitea.request_changes("acme/shop", pull.number, "more milk", by="acme")
    await house.gitea.merge_pull("acme/shop", pull.number, by="ada")
    await house.delivered()
    kinds = sorted(type(event).__name__ for event in await house.events())
    assert kinds == ["BranchPushed", "PullRequestChanged", "PullRequestChanged", "ReviewSubmitted"]


@pytest.mark.behaviour("GW-5")
async def test_another_project_of_the_workspace_is_ignored_and_counted(house: House) -> None:
    """Plane's webhooks are those of the whole workspace."""
    other = house.plane.create_project("Other", "OTHER")
    house.plane.create_issue(other, "Not ours", state="To Analyse")
    assert set(await house.delivered()) == {202}
    assert 'reason="unknown_project"' in await house.figures()
    assert await house.events("OTHER-1") == []


async def have_task(bus: Bus, key: str) -> None:
    """A task in development whose commits nobody knows."""
    now = SYSTEM_CLOCK.now()
    common: dict[str, Any] = {"project": "shop", "key": key, "issue_id": key, "title": "t"}
    cause = IssueStarted(
        **common, event_id=key, at=now, received_at=now, source="plane", origin=Origin.WEBHOOK, trace_id="0" * 32
    )
    task = Task(**common, stage="development", created_at=now, entered_at=now, branch=f"feature/{key}-t", revision=1)
    await TaskStore(bus).commit(TaskRecord(task=task, event=cause), 0)


@pytest.mark.behaviour("GW-8")
async def test_an_unknown_commit_is_the_only_developing_tasks_and_nobodys_when_there_are_two(house: House) -> None:
    with house.gitea.quietly():
        first = await house.gitea.push("acme/shop", "spike", {"a.txt": "a"}, by="ada")
        second = await house.gitea.push("acme/shop", "spike", {"a.txt": "b"}, by="ada")
    await have_task(house.bus, "SHOP-1")
    await house.gitea.set_status("acme/shop", first, "ci/test", "failure")
    assert await house.delivered() == [200]
    assert [type(event) for event in await house.events("SHOP-1")] == [CommitStatusChanged]
    await have_task(house.bus, "SHOP-2")
    await house.gitea.set_status("acme/shop", second, "ci/test", "failure")
    assert await house.delivered() == [200, 202]
    assert 'reason="no_task"' in await house.figures()


def workflow(action: str, **run: Any) -> dict[str, Any]:
    shown = {"id": 7, "run_attempt": 1, "head_sha": "abc", "head_branch": "feature/SHOP-1-t", "conclusion": "failure"}
    return {"action": action, "workflow_run": {**shown, "status": action, "display_title": "ci", **run}}


@pytest.mark.behaviour("GW-6")
@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("workflow_run", workflow("completed"), ["CommitStatusChanged"]),
        ("workflow_run", workflow("in_progress", conclusion=""), []),
        ("create", {"ref": "feature/SHOP-1-t", "ref_type": "branch", "sha": "abc"}, ["BranchPushed"]),
        ("create", {"ref": "v1", "ref_type": "tag", "sha": "abc"}, []),
        ("delete", {"ref": "feature/SHOP-1-t", "ref_type": "branch"}, []),
        ("push", {"ref": "refs/tags/v1", "before": "0" * 40, "after": "abc"}, []),
        ("push", {"ref": "refs/heads/feature/SHOP-1-t", "before": "abc", "after": "abc"}, []),
        ("push", {"ref": "refs/heads/feature/SHOP-1-t", "before": "abc", "after": "def"}, ["BranchPushed"]),
        ("release", {"action": "published"}, []),
    ],
)
async def test_what_gitea_tells_beside_pull_requests(
    kind: str, body: dict[str, Any], expected: list[str], house: House
) -> None:
    """A test push (before == after), tags, deletions and what is under way are no news for a task."""
    sent = json.dumps({**body, "repository": {"full_name": "acme/shop"}, "sender": {"login": "ada", "id": 3}}).encode()
    headers = {"X-Gitea-Event": kind, "X-Gitea-Event-Type": kind, "X-Gitea-Signature": signature(sent, GITEA_SECRET)}
    async with httpx.AsyncClient(base_url=house.url) as client:
        answer = await client.post(
            "/webhook/gitea", content=sent, headers={**headers, "Content-Type": "application/json"}
        )
    assert answer.status_code == (200 if expected else 202), answer.text
    assert [type(event).__name__ for event in await house.events()] == expected


@pytest.mark.behaviour("GW-6")
async def test_edits_of_an_issue_are_told_field_by_field(house: House) -> None:
    (project,) = house.plane.world.projects.values()
    house.plane.create_label(project, "bug")
    house.plane.create_issue(project, "Sell tea")
    await house.delivered()
    house.plane.edit_issue(
        "SHOP-1", name="Sell coffee", description_html="<p>Depends-on: SHOP-3</p>", labels=["bug"], priority="high"
    )
    house.plane.move_issue("SHOP-1", "Done")
    await house.delivered()
    events = await house.events()
    changes = [event for event in events if isinstance(event, IssueChanged)]
    assert sorted(event.fields[0] for event in changes) == ["description", "labels", "name", "priority"]
    assert [event.depends_on for event in changes if event.fields == ("description",)] == [("SHOP-3",)]
    assert sum(isinstance(event, IssueClosed) for event in events) == 1
