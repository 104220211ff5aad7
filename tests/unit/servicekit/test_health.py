import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from conveyor.contracts.errors import SettingsError, TransientError
from conveyor.servicekit.health import Health, health_server
from conveyor.servicekit.metrics import Metrics
from conveyor.servicekit.sections import HttpSettings

Served = tuple[Health, Metrics, httpx.AsyncClient]


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    health, metrics = Health(), Metrics("stage-engine")
    server = health_server(health, metrics, HttpSettings())
    await server.start()
    async with httpx.AsyncClient(base_url=server.url) as client:
        yield health, metrics, client
    await server.stop()


async def test_healthz_says_that_the_process_lives(served: Served) -> None:
    _, _, client = served
    assert (await client.get("/healthz")).json() == {"status": "ok"}


async def test_readyz_names_every_check_that_fails(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conveyor.servicekit.health.CHECK_TIMEOUT_S", 0.05)
    health, _, client = served
    assert (await client.get("/readyz")).status_code == 200

    async def broken() -> None:
        raise TransientError("not connected")

    async def slow() -> None:
        await asyncio.sleep(30)  # waits: a check that never answers

    health.check("bus", broken)
    health.check("slow", slow)
    health.check("agent", lambda: "claude is not installed")
    health.check("fine", lambda: None)
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["failures"] == {
        "bus": "not connected",
        "slow": "no answer within 0.05 s",
        "agent": "claude is not installed",
    }
    for name in ("bus", "slow", "agent"):
        health.check(name, lambda: None)
    assert (await client.get("/readyz")).status_code == 200


async def test_metrics_are_prometheus_text_named_after_the_service(served: Served) -> None:
    _, metrics, client = served
    metrics.counter("events_total", "Events decided.", ["kind"]).labels("issue_started").inc()
    metrics.histogram("commit_seconds", "Commits.").observe(0.003)
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert 'conveyor_stage_engine_events_total{kind="issue_started"} 1.0' in answer.text
    assert 'conveyor_stage_engine_commit_seconds_bucket{le="0.005"} 1.0' in answer.text


async def test_a_taken_port_is_a_mistake_in_the_settings(served: Served) -> None:
    _, _, client = served
    taken = HttpSettings(port=client.base_url.port or 0)
    with pytest.raises(SettingsError, match=f"cannot listen on 127.0.0.1:{taken.port}"):
        await health_server(Health(), Metrics("x"), taken).start()
