"""The engine as an operator meets it: a process that drains, answers, and refuses what it cannot run."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from conveyor.contracts.task import Waiting
from conveyor.servicekit.bus import Bus, ask
from conveyor.servicekit.nats_process import NatsProcess
from tests.rigs import stand_in_runner
from tests.rigs.house import House, open_house
from tests.rigs.stage import Stage

Start = Callable[[Path], Awaitable[asyncio.subprocess.Process]]
NO_SUCH_CHECK = """
name = "tested"
[[stages]]
name = "analysis"
role = "analyst"
gate = ["crystal_ball"]
"""


@pytest.fixture
async def house(bus: Bus, nats: NatsProcess, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(bus, nats.url, tmp_path) as house:
        yield house


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts an engine; what a failed test leaves running is ended."""
    processes: list[asyncio.subprocess.Process] = []

    async def engine(configuration: Path) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "conveyor.stage_engine", "--config", str(configuration)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        processes.append(process)
        return process

    yield engine
    for process in processes:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def test_it_answers_and_drains_when_told_to_stop(house: House, start: Start) -> None:
    async with stand_in_runner.running(house) as runner:
        process = await start(house.configuration())
        assert process.stdout is not None
        issue = house.issue()
        await house.start(issue)
        await Stage(house, runner).reaches("analysis", Waiting.PERSON)
        answer = await ask(house.bus, "conveyor.stage-engine.status")
        assert answer is not None
        assert b"engine-decide" in answer
        process.send_signal(signal.SIGTERM)
        printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    assert b'"event": "decided"' in printed
    assert house.bot.api_key.encode() not in printed


async def test_it_is_ready_once_its_streams_are_there(house: House, start: Start) -> None:
    process = await start(house.configuration())
    assert process.stdout is not None
    url = ""
    while not url:
        line = (await process.stdout.readline()).decode()
        assert line, "it ended before it answered"
        url = line.partition('"url": "')[2].partition('"')[0]
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{url}/readyz")).json() == {"status": "ready", "failures": {}}
        assert (await client.get(f"{url}/healthz")).status_code == 200
        assert "conveyor_engine_transitions_total" in (await client.get(f"{url}/metrics")).text
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    assert process.returncode == 0


@pytest.mark.behaviour("SE-8")
async def test_an_unknown_gate_refuses_to_start_and_names_the_known_ones(house: House, start: Start) -> None:
    house.pipeline = NO_SUCH_CHECK
    house.change_project(pipeline="tested")
    process = await start(house.configuration())
    printed, _ = await process.communicate()
    assert process.returncode == 2
    assert b"unknown check 'crystal_ball'; known: analysis_complete" in printed


async def test_a_project_with_an_unknown_pipeline_refuses_to_start(house: House, start: Start) -> None:
    house.change_project(pipeline="nowhere")
    process = await start(house.configuration())
    printed, _ = await process.communicate()
    assert process.returncode == 2
    assert b"no pipeline 'nowhere'; known: default" in printed
