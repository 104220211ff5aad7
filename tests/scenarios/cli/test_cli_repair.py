"""What an operator does when something is stuck: look what webhooks lost, take a lease from an owner that hangs."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from conveyor.contracts import codec, streams, subjects
from conveyor.contracts.commands import Notify
from conveyor.contracts.task import Waiting
from conveyor.contracts.transition import TaskRecord
from conveyor.servicekit.bus import Bucket, Bus, EventLog, Lease, scan
from conveyor.servicekit.nats_process import NatsProcess
from conveyor.stage_engine.effects.ownership import lease_name
from tests.scenarios.cli.conftest import Conveyor, Decider
from tests.scenarios.cli.ends import REPO, Ends, open_ends

NAME = lease_name(REPO)


@pytest.fixture
async def ends(nats: NatsProcess, bus: Bus, tmp_path: Path) -> AsyncIterator[Ends]:
    async with open_ends(nats.url, tmp_path) as made:
        yield made


@pytest.mark.behaviour("RC-12", "OP-2")
async def test_a_dry_run_prints_what_a_pass_would_publish(conveyor: Conveyor, ends: Ends, bus: Bus) -> None:
    (project,) = ends.plane.world.projects.values()
    issue = ends.plane.create_issue(project, "Sell tea", quietly=True)
    ends.plane.move_issue(issue, "To Analyse", quietly=True)
    ends.plane.backdate(issue, 3600)
    dry = await conveyor("--config", str(ends.config), "reconcile", "--dry-run", "--json")
    assert dry.code == 0, dry.err
    (missing,) = dry.json["missing"]
    assert (missing["key"], missing["kind"], missing["source"]) == (
        "SHOP-1",
        "issue_started",
        missing["event"]["source"],
    )
    text = await conveyor("--config", str(ends.config), "reconcile", "--dry-run")
    assert "SHOP-1  issue_started" in text.out
    assert "1 would be published" in text.out
    assert await EventLog(bus).history("shop", "SHOP-1") == [], "a dry run publishes nothing"
    real = await conveyor("--config", str(ends.config), "reconcile", "--json")
    assert (real.json["repaired"], len(await EventLog(bus).history("shop", "SHOP-1"))) == (1, 1)
    assert real.json["missing"][0]["event"]["event_id"] == missing["event"]["event_id"]


@pytest.mark.behaviour("RC-12")
async def test_a_tracker_that_cannot_be_asked_fails_the_pass_with_the_reason(conveyor: Conveyor, ends: Ends) -> None:
    ends.write(api_key="revoked")
    done = await conveyor("--config", str(ends.config), "reconcile", "--dry-run")
    assert done.code == 1
    assert "does not know the API key" in done.err


async def wait_for_effect(decider: Decider) -> None:
    """Let SHOP-1 wait for an effect."""
    stored = await decider.tasks.load("shop", "SHOP-1")
    assert stored is not None
    task = msgspec.structs.replace(stored.record.task, waiting=Waiting.EFFECT, revision=stored.record.task.revision + 1)
    await decider.tasks.commit(TaskRecord(task=task, event=stored.record.event), stored.seq)


@pytest.mark.behaviour("SE-17", "OP-2")
async def test_a_lease_is_released_by_force_logged_and_announced(
    conveyor: Conveyor, ends: Ends, bus: Bus, decider: Decider
) -> None:
    await wait_for_effect(decider)
    lease = Lease(Bucket(bus, streams.LEASES), NAME, "engine-1", ttl_s=60)
    assert await lease.acquire()
    listed = await conveyor("--config", str(ends.config), "lease", "list", "--json")
    assert listed.json == [{"name": NAME, "owner": "engine-1"}]
    refused = await conveyor("--config", str(ends.config), "release", "SHOP-1")
    assert (refused.code, "--force" in refused.err) == (1, True)
    assert await lease.holder() == "engine-1"
    done = await conveyor("--config", str(ends.config), "release", "SHOP-1", "--force", "--as", "grace", "--json")
    assert done.json == {"name": NAME, "owner": "engine-1", "by": "grace", "announced": ["SHOP-1"]}
    assert "released by force" in done.err
    assert await lease.holder() is None
    assert not await lease.renew(), "the old owner notices and stops"
    (notice,) = [await told(message) async for message in scan(bus, "COMMANDS", (subjects.effects_on("notify"),))]
    assert notice.text == f"grace released {NAME} by force: its next owner goes on"


async def told(message: Any) -> Notify:
    command = codec.decode_command(message.body)
    assert isinstance(command, Notify)
    return command


@pytest.mark.behaviour("SE-17")
async def test_people_are_told_even_when_no_task_waits_for_the_owner(
    conveyor: Conveyor, ends: Ends, bus: Bus, decider: Decider
) -> None:
    """An owner may hang over the branch of a task that is done."""
    assert await Lease(Bucket(bus, streams.LEASES), NAME, "engine-1", ttl_s=60).acquire()
    done = await conveyor("--config", str(ends.config), "lease", "release", NAME, "--force", "--json")
    assert done.json["announced"] == ["SHOP-1"]


@pytest.mark.behaviour("SE-17")
async def test_a_lease_without_a_task_is_released_by_its_name(conveyor: Conveyor, ends: Ends, bus: Bus) -> None:
    lease = Lease(Bucket(bus, streams.LEASES), "reconciler", "one", ttl_s=60)
    assert await lease.acquire()
    done = await conveyor("--config", str(ends.config), "lease", "release", "reconciler", "--force")
    assert done.code == 0, done.err
    again = await conveyor("--config", str(ends.config), "lease", "release", "reconciler", "--force")
    assert again.code == 1
    assert "nobody holds reconciler" in again.err
    assert "Nothing is held" in (await conveyor("lease", "list")).out
