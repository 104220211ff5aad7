"""Reconcilers in processes of their own: one makes passes, a standby takes over, both show the last pass."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from conveyor.contracts.streams import LEASES, RECONCILER
from conveyor.reconciler.last_pass import LastPass, last_pass
from conveyor.servicekit.bus import Bucket, Bus, Lease
from conveyor.servicekit.nats_process import NatsProcess
from tests.rigs.engine_process import ReconcilerProcess
from tests.rigs.house import KEY, House, open_house
from tests.rigs.nats_servers import free_port

Eventually = Callable[..., Awaitable[Any]]
LEASE_S = 6
CONFIGURATION = """
[nats]
url = "{nats}"
[plane]
url = "{plane}"
workspace = "{workspace}"
api_key = "{key}"
[gitea]
url = "{gitea}"
token = "{token}"
[reconciler]
interval_s = 0.2
grace_s = 0.0
lease_s = {lease}
enabled = {enabled}
http = {{ port = {port} }}
[[project]]
name = "shop"
tracker_project_id = "{project}"
identifier = "SHOP"
repository = "acme/shop"
"""


@dataclass
class Reconcilers:
    """Processes that look at one house."""

    house: House
    processes: ExitStack = field(default_factory=ExitStack)

    def start(self, *, enabled: bool = True) -> tuple[ReconcilerProcess, str]:
        """One more; return it and where it shows the last pass."""
        port, plane, gitea = free_port(), self.house.plane, self.house.gitea
        text = CONFIGURATION.format(
            nats=self.house.nats_url,
            plane=plane.url,
            workspace=plane.slug,
            key=self.house.bot.api_key,
            gitea=gitea.url,
            token=gitea.create_token("conveyor"),
            lease=LEASE_S,
            enabled=str(enabled).lower(),
            port=port,
            project=self.house.project.tracker_project_id,
        )
        path = self.house.folder / f"reconciler-{uuid4().hex[:8]}.toml"
        path.write_text(text)
        process = ReconcilerProcess()
        process.start(path)
        self.processes.callback(process.kill)
        return process, f"http://127.0.0.1:{port}/queue"

    async def leader(self) -> str | None:
        """Who holds the lease."""
        return await Lease(Bucket(self.house.bus, LEASES), "reconciler", "nobody", LEASE_S).holder()

    async def last(self) -> LastPass | None:
        """The last pass, as it is remembered."""
        return await last_pass(Bucket(self.house.bus, RECONCILER))


@pytest.fixture
async def reconcilers(bus: Bus, nats: NatsProcess, tmp_path: Path) -> AsyncIterator[Reconcilers]:
    async with open_house(bus, nats.url, tmp_path) as house:
        started = Reconcilers(house)
        with started.processes:
            yield started


async def shown(url: str) -> Any:
    """What `/queue` shows; nothing while nobody answers there."""
    async with httpx.AsyncClient() as client:
        try:
            answer = await client.get(url)
        except httpx.TransportError:
            return None
    return answer.json() if answer.status_code == 200 else None


@pytest.mark.behaviour("RC-9", "RC-10")
async def test_a_standby_takes_over_from_a_leader_that_was_killed(
    reconcilers: Reconcilers, eventually: Eventually
) -> None:
    issue = reconcilers.house.issue()
    reconcilers.house.plane.move_issue(issue, "To Analyse", quietly=True)
    first, page = reconcilers.start()
    await eventually(reconcilers.leader, timeout_s=30)
    leader = await reconcilers.leader()
    _, other_page = reconcilers.start()
    await eventually(lambda: shown(other_page), timeout_s=30)
    seen = await eventually(reconcilers.last, timeout_s=30)
    await eventually(lambda: passes_after(reconcilers, seen), timeout_s=30)
    for one in (page, other_page):
        body = await shown(one)
        assert (body["enabled"], body["last_pass"]["last_repaired"]) == (True, KEY)
        assert {"at", "duration_s", "calls", "repaired", "skipped_ended", "duplicates"} <= body["last_pass"].keys()
    assert await reconcilers.leader() == leader

    loop = asyncio.get_running_loop()
    killed_s = loop.time()
    first.kill()
    seen = await reconcilers.last()
    await eventually(lambda: passes_after(reconcilers, seen), timeout_s=30)
    assert LEASE_S / 3 < loop.time() - killed_s < LEASE_S * 4 / 3 + 3, (
        "the lease, a third, and what a busy machine adds"
    )
    assert await reconcilers.leader() not in (None, leader)
    assert (await shown(other_page))["last_pass"]["last_repaired"] == KEY


async def passes_after(reconcilers: Reconcilers, seen: LastPass) -> bool:
    """Whether a pass was made after this one."""
    last = await reconcilers.last()
    return last is not None and last.at > seen.at


@pytest.mark.behaviour("RC-8")
async def test_switched_off_it_runs_and_looks_at_nothing(reconcilers: Reconcilers, eventually: Eventually) -> None:
    issue = reconcilers.house.issue()
    reconcilers.house.plane.move_issue(issue, "To Analyse", quietly=True)
    _, page = reconcilers.start(enabled=False)
    assert await eventually(lambda: shown(page), timeout_s=30) == {"enabled": False, "last_pass": None}
    await asyncio.sleep(1.0)  # waits: five intervals
    assert (await reconcilers.leader(), await reconcilers.last(), reconcilers.house.plane.requests) == (None, None, [])
    log = next(iter(reconcilers.house.folder.glob("reconciler-*.log"))).read_text()
    assert "switched off: lost webhooks stay lost" in log
