"""P1: webhooks accepted durably per second, beside a FastAPI POST of the same bodies that does nothing.

Accepted durably: signature checked, made an event, stored and acknowledged by JetStream with `sync_interval: always`.
Both servers are processes of their own and meet the same senders in the same run, one after the other.
"""

import itertools
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
from msgspec import Struct

from conveyor.contracts import streams
from conveyor.servicekit.bus import Bus
from conveyor.servicekit.clock import SYSTEM_CLOCK
from conveyor.simulator.plane import happenings
from tests.benchmarks import ground
from tests.benchmarks.figures import Figure, figure, median, note, percentile
from tests.benchmarks.load import Load, request
from tests.benchmarks.p2 import CONFIGURATION, _is_ready, _told
from tests.benchmarks.pretenders import IDENTIFIER, REPOSITORY, SECRET, Outside

GOAL_RATIO = 0.5
GOAL_P99_MS = 50.0
CONNECTIONS = 64
PATIENCE_S = 30.0
"""So that nothing is spooled when the disk is slow: only what JetStream acknowledged counts."""


class Size(Struct, frozen=True, kw_only=True):
    """How much is done."""

    rounds: int = 5
    webhooks: int = 4000
    warm_up: int = 500
    paced: int = 4000
    """Webhooks a round at half the highest rate, for the latency."""


async def measure(size: Size | None = None) -> tuple[Figure, ...]:
    """Return webhooks per second, those of the server that does nothing, and the latency at half the highest rate."""
    size = size or Size()
    async with ground.folder() as where, ground.server_and_bus(where) as (server, bus):
        arguments = ("1", str(where / "outside.json"))
        async with ground.process("tests.benchmarks.pretenders", *arguments, log=where / "outside.log"):
            outside = await _told(where / "outside.json")
            gateway, nothing = ground.free_port(), ground.free_port()
            config = _configured(where, server.url, outside, gateway)
            async with (
                ground.process("conveyor.gateway", "--config", str(config), log=where / "gateway.log"),
                ground.process("tests.benchmarks.noop", str(nothing), log=where / "noop.log"),
            ):
                return await _figures(Both(_url(gateway), _url(nothing), bus, _made(outside)), size)


class Both(Struct, frozen=True):
    """The two servers, the bus behind the first, and what is sent to them."""

    gateway: str
    nothing: str
    bus: Bus
    requests: Iterator[bytes]

    def some(self, count: int) -> list[bytes]:
        """Return the next few requests: facts that nobody has heard of."""
        return list(itertools.islice(self.requests, count))


async def _figures(both: Both, size: Size) -> tuple[Figure, ...]:
    for url in (both.gateway, both.nothing):
        await _until_ready(url)
        await Load(both.some(size.warm_up)).run(url, CONNECTIONS)
    own, nothing = [], []
    for _ in range(size.rounds):
        requests = both.some(size.webhooks)
        nothing.append(await Load(requests).run(both.nothing, CONNECTIONS))
        before = await _stored(both.bus)
        own.append(await Load(requests).run(both.gateway, CONNECTIONS))
        if (stored := await _stored(both.bus) - before) != size.webhooks:
            raise RuntimeError(f"{size.webhooks} webhooks were accepted, {stored} stored")
    highest, anchor = median("P1", "webhooks/s", own), median("P1.noop", "requests/s", nothing)
    p99 = [await _p99_ms(both.gateway, both.some(size.paced), highest / 2) for _ in range(size.rounds)]
    beside = await _p99_ms(both.nothing, both.some(size.paced), highest / 2)
    note(f"P1: {highest / anchor:.3f} of a POST that does nothing, goal {GOAL_RATIO}; its p99 there {beside:.1f} ms")
    return (
        figure("P1", highest, "webhooks/s", anchor),
        figure("P1.noop", anchor, "requests/s"),
        figure("P1.p99", median("P1.p99", "ms", p99), "ms", GOAL_P99_MS),
    )


async def _p99_ms(url: str, requests: list[bytes], rate: float) -> float:
    load = Load(requests, rate)
    await load.run(url, CONNECTIONS)
    return percentile(load.latencies_s, 0.99) * 1000


async def _until_ready(url: str) -> None:
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        await ground.until(lambda: _is_ready(client), url)


class _State(Struct):
    messages: int


class _Info(Struct):
    state: _State


async def _stored(bus: Bus) -> int:
    return msgspec.json.decode(await bus.api(f"STREAM.INFO.{streams.EVENTS.name}"), type=_Info).state.messages


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _configured(where: Path, nats_url: str, outside: Outside, port: int) -> Path:
    path = where / "conveyor.toml"
    known = {"secret": SECRET, "identifier": IDENTIFIER, "repository": REPOSITORY}
    text = CONFIGURATION.format(nats_url=nats_url, outside=outside, port=port, **known)
    path.write_text(text + f"answer_within_s = {PATIENCE_S}\n")
    return path


def _made(outside: Outside) -> Iterator[bytes]:
    """Yield signed deliveries without end: an issue of the simulated Plane's, each time another one, is moved."""
    told: dict[str, Any] = msgspec.json.decode(outside.webhooks[0].body)
    for number in itertools.count(1):
        at = (SYSTEM_CLOCK.now() - timedelta(seconds=1)).isoformat()
        told["data"] |= {"id": str(uuid.uuid4()), "sequence_id": number, "updated_at": at}
        body = happenings.encoded(told)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Autopilot",
            "X-Plane-Delivery": str(uuid.uuid4()),
            "X-Plane-Event": "issue",
            "X-Plane-Signature": happenings.signature(SECRET, body),
        }
        yield request("/webhook/plane", headers, body)
