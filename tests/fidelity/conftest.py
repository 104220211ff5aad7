"""Whom each test of the suite asks: the simulator, and a real server where the environment names one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fidelity.targets import REAL, SIMULATOR, GiteaTarget, PlaneTarget, gitea_target, plane_target


@pytest.fixture(params=[SIMULATOR, REAL])
async def plane(request: pytest.FixtureRequest) -> AsyncIterator[PlaneTarget]:
    async with plane_target(request.param) as target:
        yield target


@pytest.fixture(params=[SIMULATOR, "forgejo", REAL])
async def gitea(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[GiteaTarget]:
    async with gitea_target(request.param, tmp_path / "gitea") as target:
        yield target
