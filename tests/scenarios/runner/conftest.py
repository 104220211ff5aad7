"""The rig of the runner's scenarios."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from conveyor.servicekit.bus import Bus
from conveyor.servicekit.nats_process import NatsProcess
from tests.scenarios.runner.rig import Rig, world


@pytest.fixture
async def rig(tmp_path: Path, nats: NatsProcess, bus: Bus) -> AsyncIterator[Rig]:
    async with world(tmp_path, bus, nats.url) as made:
        yield made
