"""The gateway's door: who may speak, how much, and what is said while the bus is away."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from conveyor.contracts.events import AnyEvent
from conveyor.gateway.http import webhooks
from conveyor.gateway.settings import GatewaySettings, Settings
from conveyor.servicekit.bus import Bus, EventLog, connect
from conveyor.servicekit.nats_process import NatsProcess
from conveyor.servicekit.sections import NatsSettings
from conveyor.simulator.gitea import GiteaServer
from conveyor.simulator.plane.server import PlaneServer
from tests.scenarios.gateway.house import GITEA_SECRET, NEW, OLD, House, running, settings_of, signed

Eventually = Callable[..., Awaitable[Any]]


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


async def answer_to(url: str, head: str, body: bytes = b"") -> bytes:
    """What is answered to a request whose body is promised and not sent; all that comes until the connection ends."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    writer.write(f"POST {head}\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".encode() + body)
    try:
        async with asyncio.timeout(5):
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            return answer + await reader.readexactly(length)
    finally:
        writer.close()


JSON = "Content-Type: application/json"


@pytest.mark.behaviour("GW-1", "GW-2")
@pytest.mark.parametrize(
    ("head", "status"),
    [
        (f"/webhook/plane HTTP/1.1\r\n{JSON}", 401),
        (f"/webhook/plane HTTP/1.1\r\n{JSON}\r\nX-Plane-Signature: ", 401),
        (f"/webhook/gitea HTTP/1.1\r\n{JSON}\r\nX-Hub-Signature-256: sha256=", 401),
        ("/webhook/plane HTTP/1.1\r\nContent-Type: text/plain\r\nX-Plane-Signature: guess", 415),
    ],
)
async def test_what_the_head_alone_forbids_is_refused_without_reading_further(
    head: str, status: int, house: House
) -> None:
    assert (await answer_to(house.url, head)).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.behaviour("GW-2")
async def test_a_body_that_never_ends_is_not_waited_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who knows no secret could else hold as many connections and megabytes as he likes."""
    monkeypatch.setattr(webhooks, "BODY_WITHIN_S", 0.2)
    answer = await answer_to(house.url, f"/webhook/plane HTTP/1.1\r\n{JSON}\r\nX-Plane-Signature: guess", b"{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer
    assert b'"reason":"slow"' in answer
    assert 'reason="slow"' in await house.figures()


async def test_a_slash_at_the_end_of_the_address_costs_nothing(house: House) -> None:
    """Plane takes a 404 for delivered, and whoever typed the address would never hear of it."""
    body = json.dumps({"event": "cycle", "action": "created", "activity": {}}).encode()
    async with httpx.AsyncClient(base_url=house.url) as client:
        assert (await client.post("/webhook/plane/", content=body, headers=signed(body))).status_code == 202


async def test_other_methods_are_told_what_is_expected(house: House) -> None:
    async with httpx.AsyncClient(base_url=house.url, timeout=5) as client:
        for method in ("GET", "PUT", "HEAD", "DELETE"):
            assert (await client.request(method, "/webhook/plane")).status_code == 405, method


@pytest.mark.behaviour("GW-1")
async def test_a_source_without_a_secret_is_closed(
    senders: tuple[PlaneServer, GiteaServer], nats: NatsProcess, bus: Bus, tmp_path: Path
) -> None:
    settings = Settings(nats=NatsSettings(url=nats.url), gateway=GatewaySettings(port=0, spool_dir=str(tmp_path)))
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


@pytest.mark.behaviour("GW-3", "GW-9")
async def test_what_comes_while_the_bus_is_away_is_kept_and_told_when_it_is_back(
    senders: tuple[PlaneServer, GiteaServer], own_nats: NatsProcess, eventually: Eventually, tmp_path: Path
) -> None:
    """Both senders throw a delivery away on an error; so they get none."""
    plane, gitea = senders
    bot = plane.add_user("Conveyor", is_bot=True)
    (project,) = plane.world.projects.values()
    async with running(settings_of(senders, bot, own_nats.url, tmp_path / "spool")) as server:
        gitea.add_hook("acme/shop", f"{server.url}/webhook/gitea", GITEA_SECRET)
        plane.add_webhook(f"{server.url}/webhook/plane", secret=NEW)
        plane.create_issue(project, "Sell tea")
        await plane.courier.idle()
        await own_nats.kill()
        plane.move_issue("SHOP-1", "To Analyse")
        await gitea.push("acme/shop", "feature/SHOP-1-sell-tea", {"a.txt": "a"}, by="ada")
        await plane.courier.idle()
        await gitea.settled()
        assert plane.courier.deliveries[-1].status == 202
        assert all(one.status == 202 for one in gitea.courier.deliveries)
        async with httpx.AsyncClient(base_url=server.url) as client:
            assert (await client.get("/healthz")).status_code == 200
            unready = await client.get("/readyz")
            assert unready.status_code == 503
            waiting = 1 + len(gitea.courier.deliveries)
            assert unready.json()["failures"]["bus"].endswith(f"spool: {waiting} deliveries")
            assert 'conveyor_gateway_spool_deliveries{source="plane"} 1.0' in (await client.get("/metrics")).text
            await own_nats.start()

            async def is_ready() -> bool:
                page = (await client.get("/metrics")).text
                return all(f'spool_deliveries{{source="{name}"}} 0.0' in page for name in ("plane", "gitea"))

            await eventually(is_ready)
            assert (await client.get("/readyz")).status_code == 200
    kinds = [type(event).__name__ for event in await stored(own_nats.url, "SHOP-1")]
    assert sorted(kinds) == ["BranchPushed", "IssueStarted"]


async def stored(nats_url: str, key: str) -> list[AnyEvent]:
    """What is on the bus of one task."""
    bus = await connect(NatsSettings(url=nats_url), name="test")
    try:
        history = await EventLog(bus).history("shop", key)
    finally:
        await bus.close()
    return [event for _, _, event in history if not isinstance(event, Exception)]
