"""Effects that meet trouble: a deployed system that is ill, a tracker and a forge that refuse, letters replayed."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from conveyor.contracts.commands import CheckHealth, Level, Notify
from conveyor.contracts.events import Actor, EffectFinished, OperatorActed, OperatorAction, Role
from conveyor.contracts.task import DONE, Waiting
from conveyor.servicekit.bus import Bus, DeadLetters
from conveyor.servicekit.nats_process import NatsProcess
from tests.rigs import services, stand_in_runner
from tests.rigs.house import KEY, open_house
from tests.rigs.stage import SOON, Stage, open_stage
from tests.rigs.stand_in_runner import Play, front_matter
from tests.rigs.web_end import web_end

Eventually = Callable[..., Awaitable[Any]]
PIPELINE = """
name = "tested"
[[stages]]
name = "development"
role = "developer"
gate = ["has_changes"]
opens_pull_request = true
[[stages]]
name = "deploy"
role = "deployer"
status = "deploying"
entry = "merge"
gate = ["deploy_status"]
documents = ["14-deploy-log.md"]
verdicts = ["14-deploy-log.md"]
edges = [{ on = "merge", to = "development", cap = 3 }, { on = "deploy_status", to = "development", cap = 3 }]
"""


@asynccontextmanager
async def alone(bus: Bus, nats_url: str, folder: Path, **project: Any) -> AsyncIterator[Stage]:
    """A house with a runner and no engine yet; events are stored by hand."""
    async with open_house(bus, nats_url, folder, PIPELINE) as house, stand_in_runner.running(house) as runner:
        house.change_project(**project)
        yield Stage(house, runner)


@pytest.mark.behaviour("SE-18")
async def test_a_healthy_system_is_done_when_its_window_is_over_and_a_restart_continues_the_window(
    bus: Bus, nats: NatsProcess, tmp_path: Path, eventually: Eventually
) -> None:
    async with web_end() as system, alone(bus, nats.url, tmp_path, health_url=system.url, monitor_s=3) as stage:
        settings = {**SOON, "health_interval_s": 0.2}
        async with services.engine(stage.house, **settings):
            await stage.house.start(stage.house.issue())
            await eventually(lambda: system.asked, timeout_s=20)
            assert stage.house.status() == "In Progress"
        before = len(system.asked)
        async with services.engine(stage.house, **settings):
            await stage.reaches(DONE)
        assert len(system.asked) > before
        (ordered,) = [one for one in await stage.house.commands() if isinstance(one, CheckHealth)]
        ended = [one.record.event for one in await stage.house.revisions()]
        (watched,) = [one for one in ended if isinstance(one, EffectFinished) and one.effect == "check_health"]
        assert (watched.at - ordered.issued_at).total_seconds() >= 3
        assert stage.house.status() == "Done"


@pytest.mark.behaviour("SE-18")
async def test_a_degraded_system_blocks_the_task_with_an_alert_and_rolls_nothing_back(
    bus: Bus, nats: NatsProcess, tmp_path: Path
) -> None:
    async with web_end() as system, alone(bus, nats.url, tmp_path, health_url=system.url, monitor_s=300) as stage:
        system.status = 500
        async with services.engine(stage.house, **SOON, health_interval_s=0.05):
            await stage.house.start(stage.house.issue())
            task = await stage.reaches("deploy", Waiting.PERSON)
        assert "failed 3 times in a row" in task.escalation
        assert stage.house.status() == "Blocked"
        alerts = [one for one in await stage.house.commands() if isinstance(one, Notify) and one.level is Level.ALERT]
        assert len(alerts) == 1
        assert not task.budget.rollbacks
        assert [run.role for run in stage.runner.taken] == ["developer", "deployer"]


@pytest.mark.behaviour("SE-21")
async def test_an_effect_that_died_is_done_after_its_letter_is_replayed(
    bus: Bus, nats: NatsProcess, tmp_path: Path, eventually: Eventually
) -> None:
    async with alone(bus, nats.url, tmp_path) as stage, services.engine(stage.house, **SOON):
        letters = DeadLetters(bus)
        stage.runner.will("developer", Play(never_ends=True))
        await stage.house.start(stage.house.issue())
        await stage.reaches("development", Waiting.RUN)
        stage.house.plane.answer_next(400, 1)
        await operate(stage, OperatorAction.CANCEL)
        await stage.reaches("cancelled")
        (letter,) = await letters.list()
        assert "SetStatus" in str(letter.headers)
        assert stage.house.status() == "In Progress"
        await letters.replay(letter.seq)
        await eventually(lambda: stage.house.status() == "Cancelled")
        assert not await letters.list()


async def operate(stage: Stage, action: OperatorAction) -> None:
    """An operator asks for something by command."""
    at = stage.house.plane.clock.now()
    told = stage.house.said(KEY, f"operator {action}", at) | {"actor": Actor(actor_id="op", role=Role.OPERATOR)}
    await stage.house.publish(OperatorActed(**told, action=action))


@pytest.mark.behaviour("SE-21")
async def test_a_gate_that_cannot_be_looked_at_is_told_and_a_retry_looks_again(
    bus: Bus, nats: NatsProcess, tmp_path: Path
) -> None:
    async with open_stage(bus, nats.url, tmp_path, pipeline=PIPELINE) as stage:
        stage.house.gitea.rest_faults.order("/compare/", status=403)
        stage.begin()
        task = await stage.reaches("development", Waiting.PERSON)
        assert "cannot be looked at" in task.escalation
        assert stage.house.status() == "Blocked"
        assert not await DeadLetters(bus).list()
        await operate(stage, OperatorAction.RETRY)
        await stage.reaches(DONE)
        assert [run.role for run in stage.runner.taken] == ["developer", "deployer"], "nobody's work was at fault"


@pytest.mark.behaviour("SE-20", "SE-21")
async def test_a_chat_that_hangs_holds_up_neither_the_task_nor_the_tracker(
    bus: Bus, nats: NatsProcess, tmp_path: Path, eventually: Eventually
) -> None:
    async with web_end() as chat, alone(bus, nats.url, tmp_path) as stage:
        stage.house.notify = {"webhook_url": chat.url}
        chat.hang()
        stage.runner.will("deployer", Play({"14-deploy-log.md": front_matter("status: FAILED")}))
        async with services.engine(stage.house, **SOON):
            await stage.house.start(stage.house.issue())
            await eventually(lambda: stage.house.status() == "Blocked", timeout_s=20)
            assert not chat.asked
            chat.go_on()
            await eventually(stage.house.is_quiet, timeout_s=20)
        alerts = [body for _, body in chat.asked if "Blocked" in body]
        assert len(alerts) == 1
        assert f"/browse/{KEY}/" in alerts[0]
