"""A backup of the streams holds all there is: from it a task goes on, on a server that never saw it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conveyor.contracts.task import Waiting
from conveyor.servicekit.bus import Bus, EventLog, connect, provision
from conveyor.servicekit.nats_process import NatsProcess
from conveyor.servicekit.sections import NatsSettings
from tests.rigs import stand_in_runner
from tests.rigs.engine_process import EngineProcess
from tests.rigs.house import House, open_house
from tests.rigs.snapshots import backed_up, restore
from tests.rigs.stage import Stage


@pytest.fixture
async def house(bus: Bus, nats: NatsProcess, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(bus, nats.url, tmp_path) as house:
        yield house


@pytest.fixture
def engine() -> Iterator[EngineProcess]:
    """An engine, which ends with the test."""
    process = EngineProcess()
    yield process
    process.kill()


@pytest.fixture
async def restored(own_nats: NatsProcess) -> AsyncIterator[Bus]:
    """A connection to a server without any stream."""
    bus = await connect(NatsSettings(url=own_nats.url), name="test")
    yield bus
    await bus.close()


async def test_a_task_goes_on_from_a_backup_on_a_new_server(
    house: House, restored: Bus, own_nats: NatsProcess, engine: EngineProcess, eventually: Callable[..., Awaitable[Any]]
) -> None:
    issue = house.issue()
    async with stand_in_runner.running(house) as runner:
        engine.start(house.configuration())
        began = await house.start(issue)
        waits = await Stage(house, runner).reaches("analysis", Waiting.PERSON)
        engine.kill()
    await restore(restored, await backed_up(house.bus))
    await own_nats.stop()
    await own_nats.start()  # a restored stream knows the ids of its messages only after its server's next start
    await provision(restored)
    house.bus, house.nats_url = restored, own_nats.url
    assert await house.task() == waits
    assert (await EventLog(restored).publish(began)).duplicate
    async with stand_in_runner.running(house) as runner:
        engine.start(house.configuration())
        await house.judge(issue, ":approved:")
        await eventually(lambda: runner.taken, timeout_s=20)
        engine.kill()
    assert runner.taken[0].stage != "analysis", "a run that was over was carried out again"
