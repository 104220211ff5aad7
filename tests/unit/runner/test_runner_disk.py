"""A full disk: idle worktrees go, the longest unused first, and only as many as it takes."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from conveyor.runner.disk import Disk
from conveyor.runner.tidy import Ground, Tidy
from conveyor.runner.workspace import Request, Workspaces
from conveyor.servicekit.bus import Bus, TaskStore
from conveyor.servicekit.clock import SYSTEM_CLOCK
from tests.unit.runner.forge import Forge, request_for

MIB = 1024 * 1024


async def no_changes() -> AsyncGenerator[str, None]:
    await asyncio.Event().wait()
    yield ""


@pytest.mark.behaviour("RU-2")
async def test_a_full_disk_costs_the_longest_unused_worktrees_but_none_at_work(
    forge: Forge, workspaces: Workspaces, tmp_path: Path, bus: Bus
) -> None:
    for key in ("SHOP-1", "SHOP-2", "SHOP-3", "SHOP-4", "SHOP-1"):
        await workspaces.prepare(request_for(forge, key, f"feature/{key}"))
    spare = workspaces._mirror(request_for(forge)).spare
    spare.want("main")
    await workspaces.make_spare()
    free = [500 * MIB]

    async def freed(_request: Request) -> None:
        free[0] += 300 * MIB

    tidy = Tidy(
        Ground(
            workspaces=workspaces,
            tasks=TaskStore(bus),
            clock=SYSTEM_CLOCK,
            is_busy=lambda _project, key: key == "SHOP-2",
            changes=no_changes,
            before_remove=freed,
            disk=Disk(tmp_path, 1000, lambda _path: free[0]),
        )
    )
    assert await tidy._make_room() == 3, "the spare one, which frees nothing here, and two that are idle"
    assert not (tmp_path / "root" / "spares" / "acme" / "shop" / "spare").exists()
    assert [request.key for request in workspaces.tenants] == ["SHOP-2", "SHOP-1"]
    assert await tidy._make_room() == 0


@pytest.mark.parametrize(("least", "full"), [(0, False), (1, False), (10**12, True)])
def test_the_disk_says_whether_there_is_room(tmp_path: Path, least: int, full: bool) -> None:
    disk = Disk(tmp_path, least)
    assert disk.is_full is full
    assert ("runner.min_free_mb" in disk.problem) is full
