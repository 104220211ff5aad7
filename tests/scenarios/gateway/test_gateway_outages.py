"""The bus goes away under load, and the gateway is killed in between: what was accepted arrives once, in order."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from conveyor.contracts.events import IssueChanged
from conveyor.servicekit.bus import EventLog, connect
from conveyor.servicekit.nats_process import NatsProcess
from conveyor.servicekit.sections import NatsSettings
from tests.scenarios.gateway.house import signed
from tests.scenarios.gateway.outage import GatewayProcess, Senders, renamed

Eventually = Callable[..., Awaitable[Any]]
TASKS = 6
SLOW_S = 2.0
"""An answer takes 1 s at most; the rest is for a busy machine."""


@pytest.fixture
async def gateway(own_nats: NatsProcess, tmp_path: Path) -> AsyncIterator[GatewayProcess]:
    process = GatewayProcess(tmp_path, own_nats.url)
    yield process
    process.stop()


@asynccontextmanager
async def under_load(gateway: GatewayProcess, eventually: Eventually) -> AsyncIterator[Senders]:
    """Senders at work until the end of the block; then all that they told must leave the spool."""
    senders, enough = Senders(gateway.url, TASKS), asyncio.Event()
    telling = asyncio.create_task(senders.tell_until(enough))
    try:
        yield senders
        enough.set()
        await telling

        async def nothing_waits() -> bool:
            return await gateway.depth() == 0

        await eventually(nothing_waits, timeout_s=30)
    finally:
        telling.cancel()


async def titles(nats_url: str, number: int) -> list[str]:
    """What the bus holds of one task, in its order."""
    bus = await connect(NatsSettings(url=nats_url), name="test")
    try:
        history = await EventLog(bus).history("shop", f"SHOP-{number}")
    finally:
        await bus.close()
    return [event.title for _, _, event in history if isinstance(event, IssueChanged)]


async def assert_all_arrived(nats_url: str, senders: Senders) -> None:
    for number in range(1, TASKS + 1):
        assert await titles(nats_url, number) == [str(told) for told in range(senders.accepted[number])]


@pytest.mark.behaviour("GW-3")
@pytest.mark.parametrize(
    "away_s", [8, pytest.param(60, marks=[pytest.mark.slow, pytest.mark.timeout(240)])], ids=["shortly", "a-minute"]
)
async def test_an_outage_of_the_bus_loses_doubles_and_reorders_nothing(
    gateway: GatewayProcess, own_nats: NatsProcess, eventually: Eventually, away_s: float
) -> None:
    await gateway.start()
    async with under_load(gateway, eventually) as senders:
        await eventually(lambda: senders.answers["stored"] > 20)
        await own_nats.kill()
        await eventually(lambda: senders.answers["spooled"] > 20)
        await asyncio.sleep(away_s)  # waits: for the outage to have lasted
        await own_nats.start()
        stored = senders.answers["stored"]
        await eventually(lambda: senders.answers["stored"] > stored + 20, timeout_s=20)
    assert set(senders.answers) == {"stored", "spooled"}
    assert senders.slowest_s < SLOW_S
    await assert_all_arrived(own_nats.url, senders)
    assert list(gateway.spool.iterdir()) == []


@pytest.mark.behaviour("GW-3")
async def test_a_gateway_killed_during_the_outage_and_after_it_loses_nothing(
    gateway: GatewayProcess, own_nats: NatsProcess, eventually: Eventually
) -> None:
    await gateway.start()
    async with under_load(gateway, eventually) as senders:
        await eventually(lambda: senders.answers["stored"] > 20)
        await own_nats.kill()
        await eventually(lambda: senders.answers["spooled"] > 50)
        gateway.kill()
        await gateway.start()
        spooled = senders.answers["spooled"]
        await eventually(lambda: senders.answers["spooled"] > spooled + 50)
        await own_nats.start()
        gateway.kill()
        await gateway.start()
        stored = senders.answers["stored"]
        await eventually(lambda: senders.answers["stored"] > stored + 20, timeout_s=20)
    assert senders.answers["none"] > 0, "the senders noticed, and tried again"
    await assert_all_arrived(own_nats.url, senders)


@pytest.mark.behaviour("GW-3")
async def test_a_gateway_starts_without_the_bus(
    gateway: GatewayProcess, own_nats: NatsProcess, eventually: Eventually
) -> None:
    await own_nats.stop()
    await gateway.start()
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as client:
        for number in range(3):
            body = renamed(1, str(number))
            answer = await client.post("/webhook/plane", content=body, headers=signed(body))
            assert (answer.status_code, answer.json()["status"]) == (202, "spooled")
        unready = await client.get("/readyz")
        assert unready.json()["failures"]["bus"].endswith("spool: 3 deliveries")
        await own_nats.start()

        async def is_ready() -> bool:
            return (await client.get("/readyz")).is_success and await gateway.depth() == 0

        await eventually(is_ready)
    assert await titles(own_nats.url, 1) == ["0", "1", "2"]


@pytest.mark.behaviour("GW-3")
async def test_a_bus_that_stores_but_does_not_say_so_in_time_keeps_no_sender_waiting_and_stores_once(
    gateway: GatewayProcess, own_nats: NatsProcess, eventually: Eventually
) -> None:
    """The acknowledgement that comes too late is a lost one: the drain's second publish is a duplicate."""
    await gateway.start()
    async with under_load(gateway, eventually) as senders:
        await eventually(lambda: senders.answers["stored"] > 20)
        os.kill(own_nats.pid, signal.SIGSTOP)
        try:
            await eventually(lambda: senders.answers["spooled"] > 30)
        finally:
            os.kill(own_nats.pid, signal.SIGCONT)
        stored = senders.answers["stored"]
        await eventually(lambda: senders.answers["stored"] > stored + 20)
        async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as client:
            assert 'spool_drained_total{outcome="duplicate",source="plane"}' in (await client.get("/metrics")).text
    assert set(senders.answers) == {"stored", "spooled"}
    assert senders.slowest_s < SLOW_S
    await assert_all_arrived(own_nats.url, senders)


@pytest.mark.behaviour("GW-3")
async def test_a_full_spool_gives_no_answer_at_all(
    gateway: GatewayProcess, own_nats: NatsProcess, tmp_path: Path
) -> None:
    """Plane takes every answer, whatever its status, for delivered."""
    config = tmp_path / "conveyor.toml"
    config.write_text(config.read_text() + "spool_max_bytes = 4000\n")
    await own_nats.stop()
    await gateway.start()
    body = renamed(1, "0")
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as client:
        for _ in range(4):
            assert (await client.post("/webhook/plane", content=body, headers=signed(body))).status_code == 202
        body = renamed(1, "x" * 4000)
        with pytest.raises(httpx.TransportError):
            await client.post("/webhook/plane", content=body, headers=signed(body))
        assert 'outcome="unavailable"' in (await client.get("/metrics")).text
    assert await gateway.depth() == 4
