"""`conveyor up` as a process: ready in one line, who dies is started again, and nothing is left when it ends."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from conveyor.cli.demo import configuration
from conveyor.cli.demo.world import demo_world

pytestmark = [pytest.mark.behaviour("OP-3"), pytest.mark.timeout(120)]
READY_S = 60.0
Eventually = Callable[..., Awaitable[Any]]


@pytest.fixture
async def config(tmp_path: Path) -> AsyncIterator[Path]:
    """A configuration against simulated servers, all ports free ones."""
    async with demo_world(tmp_path) as world:
        yield configuration.write(tmp_path, world, 0)


def processes(folder: Path) -> dict[int, str]:
    """Every process that names this folder on its command line, but for `conveyor up` itself."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().decode().split("\0")
        except (OSError, UnicodeDecodeError):
            continue
        if any(str(folder) in word for word in words) and "up" not in words:
            found[int(entry.name)] = " ".join(words)
    return found


@asynccontextmanager
async def up(config: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, str]]]:
    """Run it until it is ready; yields the process and where everything answers."""
    with (config.parent / "up.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "conveyor.cli", "--config", str(config), "up", "--json"),
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(READY_S):
            line = await process.stdout.readline()
        assert line, (config.parent / "up.log").read_text()
        yield process, msgspec.json.decode(line)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_up_answers_everywhere_and_leaves_nothing_behind(config: Path) -> None:
    async with up(config) as (process, where):
        async with httpx.AsyncClient(trust_env=False) as client:
            for name in ("gateway", "stage-engine", "runner", "reconciler"):
                assert (await client.get(f"{where[name]}/readyz")).status_code == 200
        assert len(processes(config.parent)) == 5
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(40):
            assert await process.wait() == 0
    assert processes(config.parent) == {}
    log = (config.parent / "up.log").read_text()
    assert "gateway      | " in log
    assert "Traceback" not in log


async def test_a_service_that_dies_is_started_again(config: Path, eventually: Eventually) -> None:
    async with up(config) as (process, where):
        (gateway,) = (pid for pid, words in processes(config.parent).items() if "conveyor.gateway" in words)
        os.kill(gateway, signal.SIGKILL)
        async with httpx.AsyncClient(trust_env=False) as client:

            async def is_back() -> bool:
                pids = [pid for pid, words in processes(config.parent).items() if "conveyor.gateway" in words]
                if not pids or pids == [gateway]:
                    return False
                try:
                    return (await client.get(f"{where['gateway']}/readyz")).is_success
                except httpx.TransportError:
                    return False

            await eventually(is_back, timeout_s=30)
        assert "gateway ended with signal 9; it is started again" in (config.parent / "up.log").read_text()
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(40):
            assert await process.wait() == 0


async def test_children_die_with_their_parent(config: Path, eventually: Eventually) -> None:
    async with up(config) as (process, _):
        process.kill()
        await process.wait()
        await eventually(lambda: not processes(config.parent), timeout_s=30)


def misspell(config: Path) -> None:
    config.write_text(config.read_text().replace("interval_s = 2.0", "intervall_s = 2.0"))


async def test_a_service_that_cannot_start_stops_everything_with_the_reason(config: Path) -> None:
    misspell(config)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "conveyor.cli", "--config", str(config), "up"), stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        _, err = await process.communicate()
    assert process.returncode == 2
    assert b"reconciler.intervall_s: unknown key" in err
    assert b"conveyor: reconciler cannot start with this configuration" in err
    assert processes(config.parent) == {}
