"""The gateway as Plane and Gitea meet it: real HTTP, a real bus, simulated senders."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from conveyor.contracts import codec
from conveyor.contracts.events import (
    AnyEvent,
    CommentAdded,
    CommitStatusChanged,
    IssueStarted,
    VerdictGiven,
    VerdictValue,
)
from conveyor.contracts.project import Project
from conveyor.contracts.streams import LOOKUP
from conveyor.gateway.app import build
from conveyor.gateway.settings import GatewaySettings, Settings
from conveyor.servicekit.bus import Bucket, Bus, EventLog, connect, provision
from conveyor.servicekit.clock import SYSTEM_CLOCK, Clock, SystemClock
from conveyor.servicekit.health import HttpServer
from conveyor.servicekit.lifecycle import Service
from conveyor.servicekit.nats_process import NatsProcess
from conveyor.servicekit.secret import Secret
from conveyor.servicekit.sections import GiteaSettings, NatsSettings, PlaneSettings
from conveyor.simulator.gitea import GiteaServer
from conveyor.simulator.plane.server import PlaneOptions, PlaneServer
from conveyor.simulator.plane.world import User

OLD, NEW = "plane_wh_old", "plane_wh_new"
GITEA_SECRET = "gitea-secret"
Eventually = Callable[..., Awaitable[Any]]


@asynccontextmanager
async def running(settings: Settings, clock: Clock = SYSTEM_CLOCK) -> AsyncIterator[HttpServer]:
    """The gateway, until the block ends; it must not die on the way."""
    service = Service("gateway", grace_s=2)
    started: asyncio.Future[HttpServer] = asyncio.get_running_loop().create_future()

    async def start(service: Service) -> None:
        started.set_result(await build(service, settings, clock))

    life = asyncio.create_task(service.run(start, handle_signals=False))
    await asyncio.wait({life, asyncio.ensure_future(started)}, return_when=asyncio.FIRST_COMPLETED)
    try:
        yield started.result()
    finally:
        service.stop("the test is over")
        assert await life == 0


class NextWeek(SystemClock):
    """A clock that is eight days ahead of the senders."""

    def now(self) -> datetime:
        return super().now() + timedelta(days=8)


@dataclass(frozen=True)
class House:
    """Both senders, the gateway between them and the bus."""

    plane: PlaneServer
    gitea: GiteaServer
    bot: User
    url: str
    bus: Bus

    async def events(self, key: str = "SHOP-1", project: str = "shop") -> list[AnyEvent]:
        history = await EventLog(self.bus).history(project, key)
        return [event for _, _, event in history if not isinstance(event, Exception)]

    async def delivered(self) -> list[int | None]:
        """What the senders were answered, once everything is delivered."""
        await self.plane.courier.idle()
        await self.gitea.settled()
        return [one.status for one in (*self.plane.courier.deliveries, *self.gitea.courier.deliveries)]

    async def figures(self) -> str:
        async with httpx.AsyncClient() as client:
            return (await client.get(f"{self.url}/metrics")).text


@pytest.fixture
async def senders(tmp_path: Path) -> AsyncIterator[tuple[PlaneServer, GiteaServer]]:
    async with PlaneServer(PlaneOptions(retry_delay_s=0.5)) as plane, GiteaServer(tmp_path / "gitea") as gitea:
        plane.create_project("Shop", "SHOP")
        for login in ("acme", "conveyor", "ada"):
            gitea.create_user(login)
        await gitea.create_repo("acme/shop")
        for login in ("conveyor", "ada"):
            gitea.add_collaborator("acme/shop", login)
        yield plane, gitea
        assert not plane.courier.faults


def settings_of(senders: tuple[PlaneServer, GiteaServer], bot: User, nats_url: str, **gateway: Any) -> Settings:
    plane, gitea = senders
    (project,) = plane.world.projects.values()
    return Settings(
        nats=NatsSettings(url=nats_url),
        plane=PlaneSettings(
            url=plane.url, workspace=plane.slug, api_key=Secret(bot.api_key), webhook_secrets=(Secret(OLD), Secret(NEW))
        ),
        gitea=GiteaSettings(
            url=gitea.url, token=Secret(gitea.create_token("conveyor")), webhook_secrets=(Secret(GITEA_SECRET),)
        ),
        project=(Project(name="shop", tracker_project_id=project.id, identifier="SHOP", repository="acme/shop"),),
        gateway=GatewaySettings(port=0, **gateway),
    )


@pytest.fixture
async def house(senders: tuple[PlaneServer, GiteaServer], nats: NatsProcess, bus: Bus) -> AsyncIterator[House]:
    plane, gitea = senders
    bot = plane.add_user("Conveyor", is_bot=True)
    async with running(settings_of(senders, bot, nats.url)) as server:
        plane.add_webhook(f"{server.url}/webhook/plane", secret=NEW)
        gitea.add_hook("acme/shop", f"{server.url}/webhook/gitea", GITEA_SECRET)
        yield House(plane, gitea, bot, server.url, bus)


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
    senders: tuple[PlaneServer, GiteaServer], nats: NatsProcess, bus: Bus
) -> None:
    """The stream forgets ids after a week; Gitea keeps what it can send again for as long."""
    plane, _ = senders
    (project,) = plane.world.projects.values()
    bot = plane.add_user("Conveyor", is_bot=True)
    async with running(settings_of(senders, bot, nats.url), NextWeek()) as server:
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


def signed(body: bytes, secret: str = OLD, **headers: str) -> dict[str, str]:
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"Content-Type": "application/json", "X-Plane-Signature": signature, **headers}


@pytest.mark.behaviour("GW-1")
async def test_only_what_one_of_our_secrets_signed_is_read(house: House) -> None:
    body = json.dumps({"event": "cycle", "action": "created", "activity": {}}).encode()
    async with httpx.AsyncClient(base_url=house.url) as client:
        for secret in (OLD, NEW):
            assert (await client.post("/webhook/plane", content=body, headers=signed(body, secret))).status_code == 202
        refused = [
            signed(body, "guess"),
            signed(body) | {"X-Plane-Signature": ""},
            {"Content-Type": "application/json"},
        ]
        for headers in refused:
            assert (await client.post("/webhook/plane", content=body, headers=headers)).status_code == 401
        assert (await client.post("/webhook/plane", content=body + b" ", headers=signed(body))).status_code == 401
    page = await house.figures()
    assert 'reason="unsigned"' in page
    assert 'reason="bad_signature"' in page


@pytest.mark.behaviour("GW-2")
async def test_bodies_that_are_no_deliveries_are_refused_and_counted(house: House) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100_000

    wrong = b'{"event": "issue", "action": "updated", "activity": {"actor": {"id": 7}}, "data": {}}'
    async with httpx.AsyncClient(base_url=house.url) as client:
        plain = await client.post("/webhook/plane", content=b"x", headers=signed(b"x") | {"Content-Type": "text/plain"})
        assert plain.status_code == 415
        large = await client.post("/webhook/plane", content=b"x" * (1024 * 1024 + 1), headers=signed(b""))
        assert large.status_code == 413
        unsized = await client.post("/webhook/plane", content=endless(), headers=signed(b""))
        assert unsized.status_code == 413
        assert (await client.post("/webhook/plane", content=b"{", headers=signed(b"{"))).status_code == 400
        answer = await client.post("/webhook/plane", content=wrong, headers=signed(wrong))
        assert answer.status_code == 400
        assert "$.activity.actor.id" in answer.json()["detail"]
    page = await house.figures()
    for reason in ("content_type", "too_large", "malformed"):
        assert f'reason="{reason}"' in page
    assert await house.events() == []


@pytest.mark.behaviour("GW-1")
async def test_a_source_without_a_secret_is_closed(
    senders: tuple[PlaneServer, GiteaServer], nats: NatsProcess, bus: Bus
) -> None:
    settings = Settings(nats=NatsSettings(url=nats.url), gateway=GatewaySettings(port=0))
    async with running(settings) as server, httpx.AsyncClient(base_url=server.url) as client:
        for source in ("plane", "gitea"):
            answer = await client.post(f"/webhook/{source}", content=b"{}", headers=signed(b"{}", ""))
            assert answer.status_code == 503


@pytest.mark.behaviour("GW-9")
async def test_health_and_figures_are_served(house: House) -> None:
    async with httpx.AsyncClient(base_url=house.url) as client:
        for page in ("/healthz", "/readyz", "/metrics", "/status", "/queue"):
            assert (await client.get(page)).status_code == 200, page
        assert (await client.get("/status")).json() == {"projects": 1, "stages": {}, "waiting": {}}


async def test_nothing_is_claimed_while_the_bus_is_away_and_plane_tries_again(
    senders: tuple[PlaneServer, GiteaServer], own_nats: NatsProcess, eventually: Eventually
) -> None:
    """GW-3, first half: no 2xx without the bus's word; Plane takes any answer for delivered, so it gets none."""
    plane, gitea = senders
    bot = plane.add_user("Conveyor", is_bot=True)
    (project,) = plane.world.projects.values()
    async with running(settings_of(senders, bot, own_nats.url, publish_timeout_s=0.3)) as server:
        gitea.add_hook("acme/shop", f"{server.url}/webhook/gitea", GITEA_SECRET)
        plane.add_webhook(f"{server.url}/webhook/plane", secret=NEW)
        plane.create_issue(project, "Sell tea")
        await plane.courier.idle()
        await own_nats.kill()
        plane.move_issue("SHOP-1", "To Analyse")
        await gitea.push("acme/shop", "feature/SHOP-1-sell-tea", {"a.txt": "a"}, by="ada")
        await eventually(lambda: any(one.outcome == "unreachable" for one in plane.courier.deliveries))
        await own_nats.start()
        await plane.courier.idle()
        await gitea.settled()
        assert plane.courier.deliveries[-1].status == 200
        bus = await connect(NatsSettings(url=own_nats.url), name="test")
        try:
            await provision(bus)
            history = await EventLog(bus).history("shop", "SHOP-1")
        finally:
            await bus.close()
        assert sum(isinstance(event, IssueStarted) for _, _, event in history) == 1
    assert not [one for one in gitea.courier.deliveries if one.status is not None and one.status >= 500]
