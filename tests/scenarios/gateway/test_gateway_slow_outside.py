"""A tracker or forge that is slow, away or refuses holds no answer: the delivery is kept and resolved later."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest

from conveyor.contracts.events import CommentAdded, IssueStarted
from conveyor.contracts.streams import LOOKUP
from conveyor.servicekit.bus import Bucket, Bus, EventLog
from conveyor.servicekit.clock import SYSTEM_CLOCK
from conveyor.servicekit.nats_process import NatsProcess
from conveyor.simulator.gitea import GiteaServer
from conveyor.simulator.plane.server import PlaneServer
from tests.scenarios.gateway.house import NEW, running, settings_of

Eventually = Callable[..., Awaitable[Any]]


@dataclass
class Gate:
    """A way to a server that lets nothing through until it is opened, and then everything."""

    url: str = ""
    is_open: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def gate_to(url: str) -> AsyncIterator[Gate]:
    """Accept connections for a server; what comes waits for the gate."""
    gate, place, tasks = Gate(), urlsplit(url), set[asyncio.Task[None]]()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())  # type: ignore[arg-type] # there is one
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await gate.is_open.wait()
            there, back = await asyncio.open_connection(place.hostname, place.port)
            await asyncio.gather(carry(reader, back), carry(there, writer))
        writer.close()

    server = await asyncio.start_server(pass_on, "127.0.0.1", 0)
    gate.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield gate
    server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.behaviour("GW-3")
async def test_a_mute_tracker_holds_no_answer_and_what_it_knows_is_asked_later(
    senders: tuple[PlaneServer, GiteaServer], nats: NatsProcess, bus: Bus, tmp_path: Path, eventually: Eventually
) -> None:
    """The states decide what a move means, and a comment names its issue by id alone."""
    plane, _ = senders
    bot = plane.add_user("Conveyor", is_bot=True)
    (project,) = plane.world.projects.values()
    settings = settings_of(senders, bot, nats.url, tmp_path / "spool")
    async with gate_to(plane.url) as gate:
        settings = msgspec.structs.replace(settings, plane=msgspec.structs.replace(settings.plane, url=gate.url))
        async with running(settings) as server, httpx.AsyncClient(base_url=server.url) as client:
            plane.create_issue(project, "Sell tea")
            plane.add_webhook(f"{server.url}/webhook/plane", secret=NEW)
            begun = SYSTEM_CLOCK.monotonic()
            plane.move_issue("SHOP-1", "To Analyse")
            await plane.courier.idle()
            assert SYSTEM_CLOCK.monotonic() - begun < 2
            plane.comment("SHOP-1", "use green tea")
            await plane.courier.idle()
            assert [one.status for one in plane.courier.deliveries] == [202, 202]
            assert (await client.get("/readyz")).status_code == 200, "the bus is there"
            gate.is_open.set()

            async def all_told() -> bool:
                return 'spool_deliveries{source="plane"} 0.0' in (await client.get("/metrics")).text

            await eventually(all_told, timeout_s=30)
    history = await EventLog(bus).history("shop", "SHOP-1")
    assert [type(event) for _, _, event in history] == [IssueStarted, CommentAdded]


@pytest.mark.behaviour("GW-3")
async def test_one_senders_troubles_hold_up_no_other(
    senders: tuple[PlaneServer, GiteaServer], nats: NatsProcess, bus: Bus, tmp_path: Path
) -> None:
    plane, gitea = senders
    bot = plane.add_user("Conveyor", is_bot=True)
    (project,) = plane.world.projects.values()
    settings = settings_of(senders, bot, nats.url, tmp_path / "spool")
    async with gate_to(plane.url) as gate:
        settings = msgspec.structs.replace(settings, plane=msgspec.structs.replace(settings.plane, url=gate.url))
        async with running(settings) as server:
            plane.create_issue(project, "Sell tea")
            plane.add_webhook(f"{server.url}/webhook/plane", secret=NEW)
            gitea.add_hook("acme/shop", f"{server.url}/webhook/gitea", "gitea-secret")
            plane.move_issue("SHOP-1", "To Analyse")
            await plane.courier.idle()
            assert plane.courier.deliveries[-1].status == 202
            with gitea.quietly():
                sha = await gitea.push("acme/shop", "elsewhere", {"a.txt": "a"}, by="ada")
            await Bucket(bus, LOOKUP).put(f"commit.{sha}", b"shop/SHOP-7")
            await gitea.set_status("acme/shop", sha, "ci/test", "failure")
            await gitea.settled()
            assert gitea.courier.deliveries[-1].status == 200
