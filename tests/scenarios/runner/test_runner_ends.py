"""Runs that are stopped, and runners and buses that die: still one outcome, and nothing left behind."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from conveyor.contracts import subjects
from conveyor.contracts.events import RunFinished, RunStarted
from conveyor.contracts.outcomes import Outcome, OutcomeKind, OutcomeReason
from conveyor.runner.app import start
from conveyor.runner.process.sweep import members
from conveyor.servicekit.bus import CommandQueue, ask, connect, provision
from conveyor.servicekit.bus.connection import REQUEST_TIMEOUT_S
from conveyor.servicekit.lifecycle import Service
from conveyor.servicekit.nats_process import NatsProcess
from conveyor.servicekit.sections import NatsSettings
from tests.scenarios.runner.rig import BRANCH, REPO, Eventually, Rig, process, running, world


@pytest.fixture
async def outage_rig(own_nats: NatsProcess, tmp_path: Path) -> AsyncIterator[Rig]:
    """A rig on a server of its own, which the test takes away and brings back."""
    bus = await connect(NatsSettings(url=own_nats.url), name="test")
    try:
        await provision(bus)
        async with world(tmp_path, bus, own_nats.url) as rig:
            yield rig
    finally:
        await bus.close()


async def outcome_over_outage(rig: Rig, nats: NatsProcess, eventually: Eventually, *, longer_s: float = 0) -> Outcome:
    """Take the bus away while an agent works, bring it back so long after its end, and return what came of the run."""
    agent = rig.agent({"developer": [{"do": "succeed", "delay_s": 1.0}]})
    async with running(rig.settings(agent, ack_wait_s=60)):
        command = await rig.order()
        await eventually(lambda: members(command.run_id))
        await nats.kill()
        await eventually(lambda: not members(command.run_id))
        await asyncio.sleep(longer_s)  # waits: the length of the outage is what matters here
        await nats.start()
        outcome = await rig.outcome(command, eventually, timeout_s=30)
        await rig.acknowledged(eventually)
    return outcome


@pytest.mark.behaviour("RU-11")
async def test_cancel_stops_a_run_and_pushes_nothing(rig: Rig, eventually: Eventually) -> None:
    async with running(rig.settings(rig.agent({"developer": ["stubborn"]}))):
        command = await rig.order()
        subject = subjects.run_control(command.run_id)
        await eventually(lambda: members(command.run_id))
        alive = await ask(rig.bus, subject, b"status")
        assert alive is not None
        assert json.loads(alive) == {"run_id": command.run_id, "runner_id": "runner-1", "stopping": ""}
        began = asyncio.get_running_loop().time()
        await ask(rig.bus, subject, b"cancel")
        outcome = await rig.outcome(command, eventually)
        assert asyncio.get_running_loop().time() - began < 2
    assert (outcome.kind, outcome.reason) == (OutcomeKind.CANCELLED, OutcomeReason.CANCELLED_BY_ENGINE)
    assert rig.gitea.branch_sha(REPO, BRANCH) is None


@pytest.mark.behaviour("RU-11")
async def test_cancel_ends_also_a_run_whose_work_waits_for_the_forge(rig: Rig, eventually: Eventually) -> None:
    """The agent has ended, the forge does not answer, and the way home would be tried for a minute."""
    rig.gitea.forge.rest_faults.order("POST /api/v1/repos/acme/shop/pulls", 503, count=100)
    async with running(rig.settings(rig.agent())):
        command = await rig.order()
        await eventually(lambda: rig.gitea.branch_sha(REPO, BRANCH))
        began = asyncio.get_running_loop().time()
        await ask(rig.bus, subjects.run_control(command.run_id), b"cancel")
        outcome = await rig.outcome(command, eventually)
        assert asyncio.get_running_loop().time() - began < 2
    assert (outcome.kind, outcome.reason) == (OutcomeKind.CANCELLED, OutcomeReason.CANCELLED_BY_ENGINE)
    assert outcome.usage.cost_usd, "what it cost is told all the same"


@pytest.mark.behaviour("RU-11")
async def test_shutdown_stops_what_does_not_finish_in_time_and_says_so(rig: Rig, eventually: Eventually) -> None:
    async with running(rig.settings(rig.agent({"developer": ["hang"]}))):
        command = await rig.order()
        await eventually(lambda: members(command.run_id))
    outcome = await rig.outcome(command, eventually)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.CANCELLED, OutcomeReason.RUNNER_STOPPED)


@pytest.mark.behaviour("RU-11")
async def test_shutdown_lets_a_run_finish_that_needs_but_a_moment(rig: Rig, eventually: Eventually) -> None:
    agent = rig.agent({"developer": [{"do": "succeed", "delay_s": 1.0}]})
    async with running(rig.settings(agent, drain_s=8)):
        command = await rig.order()
        await eventually(lambda: members(command.run_id))
    assert (await rig.outcome(command, eventually)).kind is OutcomeKind.SUCCEEDED


async def test_an_outcome_outlives_a_bus_that_is_away(
    own_nats: NatsProcess, outage_rig: Rig, eventually: Eventually
) -> None:
    """The server is killed while the agent works and comes back later: the run goes on, and is told once."""
    outcome = await outcome_over_outage(outage_rig, own_nats, eventually)
    assert outcome.kind is OutcomeKind.SUCCEEDED
    assert outcome.head == outage_rig.gitea.branch_sha(REPO, BRANCH)
    assert len(await outage_rig.events(RunFinished)) == 1


async def test_work_that_ends_in_a_long_outage_of_the_bus_is_brought_home_all_the_same(
    own_nats: NatsProcess, outage_rig: Rig, eventually: Eventually
) -> None:
    """The bus stays away for longer than any request waits: what the agent did, and cost, is pushed when it is back."""
    outcome = await outcome_over_outage(outage_rig, own_nats, eventually, longer_s=REQUEST_TIMEOUT_S * 2)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.SUCCEEDED, OutcomeReason.FINISHED)
    assert outcome.head == outage_rig.gitea.branch_sha(REPO, BRANCH)


@pytest.mark.behaviour("RU-10")
async def test_an_outcome_outlives_a_runner_that_dies_before_it_could_tell_it(
    own_nats: NatsProcess, outage_rig: Rig, tmp_path: Path, eventually: Eventually
) -> None:
    """The bus goes while the agent works, the runner after it: what came of the run lies on its disk."""
    rig = outage_rig
    agent = rig.agent({"developer": [{"do": "nothing", "delay_s": 1.5}]})
    async with process(rig, agent, "runner-1") as first:
        command = await rig.order()
        await rig.speaks(command, eventually)
        await own_nats.kill()
        note = tmp_path / "runner-1" / "live" / f"{command.run_id}.json"
        await eventually(lambda: '"kind":"failed"' in note.read_text(), timeout_s=30)
        first.kill()
    await own_nats.start()
    async with running(rig.settings(agent, "runner-1")):
        outcome = await rig.outcome(command, eventually, timeout_s=30)
        await rig.acknowledged(eventually)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.FAILED, OutcomeReason.AGENT_ERROR), "and not lost"
    assert len(await rig.events(RunFinished)) == 1


@pytest.mark.behaviour("RU-10")
async def test_a_runner_killed_in_the_middle_is_reported_lost_by_another(rig: Rig, eventually: Eventually) -> None:
    agent = rig.agent({"developer": ["hang", "succeed"]})
    async with process(rig, agent, "runner-1") as first:
        command = await rig.order()
        await rig.speaks(command, eventually)
        first.kill()
        await first.wait()
        async with process(rig, agent, "runner-2"):
            outcome = await rig.outcome(command, eventually)
            assert (outcome.kind, outcome.reason) == (OutcomeKind.LOST, OutcomeReason.RUNNER_DIED)
            assert "runner-1" in outcome.detail
            again = await rig.order()
            assert (await rig.outcome(again, eventually)).kind is OutcomeKind.SUCCEEDED
        await eventually(lambda: not members(command.run_id))
    async with running(rig.settings(agent, "runner-1")):
        await rig.acknowledged(eventually)
    assert len(await rig.events(RunFinished)) == 2


@pytest.mark.behaviour("RU-10")
async def test_a_runner_that_comes_back_clears_up_and_reports_at_once(rig: Rig, eventually: Eventually) -> None:
    agent = rig.agent({"developer": ["hang"]})
    async with process(rig, agent, "runner-1") as first:
        command = await rig.order()
        await rig.speaks(command, eventually)
        first.kill()
    async with running(rig.settings(agent, "runner-1")):
        outcome = await rig.outcome(command, eventually)
        assert members(command.run_id) == []
        await rig.acknowledged(eventually)
    assert outcome.kind is OutcomeKind.LOST
    assert len(await rig.events(RunFinished)) == 1


async def test_a_redelivered_command_of_a_living_run_is_left_alone(rig: Rig, eventually: Eventually) -> None:
    """Two runners, and a server that gives the command to the second while the first still works."""
    agent = rig.agent({"developer": [{"do": "succeed", "delay_s": 2.5}]})
    async with running(rig.settings(agent, "runner-1")), running(rig.settings(agent, "runner-2")):
        command = await rig.order()
        await eventually(lambda: members(command.run_id))
        owner = json.loads(await ask(rig.bus, subjects.run_control(command.run_id), b"status") or b"{}")["runner_id"]
        other = await connect(NatsSettings(url=rig.nats_url), name="twin")
        twin = replace(command, command_id="twin")
        await CommandQueue(other).publish(twin)
        outcome = await rig.outcome(command, eventually)
        await other.close()
    assert outcome.kind is OutcomeKind.SUCCEEDED
    (started,) = await rig.events(RunStarted)
    assert started.runner_id == owner
    assert len(await rig.events(RunFinished)) == 1


async def test_two_runners_do_not_share_a_root(rig: Rig, eventually: Eventually) -> None:
    settings = rig.settings(rig.agent())
    async with running(settings):
        await eventually((Path(settings.runner.root) / "live").exists)
        service = Service("runner")
        assert await service.run(lambda started: start(started, settings), handle_signals=False) == 2
