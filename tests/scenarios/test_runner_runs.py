"""A runner on a real bus, a simulated Gitea and a scripted agent: commands in, commits and one outcome out."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from conveyor.contracts import ids, streams, subjects
from conveyor.contracts.commands import StartRun
from conveyor.contracts.events import IssueStarted, Origin, RunFinished, RunStarted
from conveyor.contracts.outcomes import Outcome, OutcomeKind, OutcomeReason
from conveyor.contracts.project import Project
from conveyor.contracts.task import Run, Task, Waiting
from conveyor.contracts.transition import TaskRecord
from conveyor.runner.app import start
from conveyor.runner.core.agent import Agent
from conveyor.runner.process.sweep import members
from conveyor.runner.settings import RunnerSettings, Settings
from conveyor.servicekit.bus import (
    ApiError,
    Bucket,
    Bus,
    CommandQueue,
    EventLog,
    TaskStore,
    ask,
    connect,
    provision,
    scan,
)
from conveyor.servicekit.lifecycle import Service
from conveyor.servicekit.nats_process import NatsProcess
from conveyor.servicekit.secret import Secret
from conveyor.servicekit.sections import GiteaSettings, HttpSettings, NatsSettings
from conveyor.simulator.gitea import GiteaServer

REPO = "acme/shop"
BRANCH = "feature/SHOP-12-dark-mode"
NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
Eventually = Callable[..., Awaitable[Any]]


class Rig:
    """The world around a runner, and what the engine would do."""

    def __init__(self, gitea: GiteaServer, bus: Bus, nats_url: str, folder: Path) -> None:
        self.gitea = gitea
        self.bus = bus
        self.nats_url = nats_url
        self.folder = folder
        self.token = gitea.create_token("conveyor")
        self.tasks = TaskStore(bus)
        self._seq = 0
        self.revision = 0

    def agent(self, script: dict[str, Any] | None = None, **changes: Any) -> Agent:
        """The scripted agent, doing what the script says for each role."""
        path = self.folder / "script.json"
        path.write_text(json.dumps(script or {}))
        state = str(self.folder / "state")
        command = (sys.executable, "-m", "conveyor.simulator.agent", "--script", str(path), "--state", state)
        values = {"command": command, "output": "claude-stream-json", "gentle_s": 0.5, "term_s": 0.5}
        return Agent(**{**values, **changes})

    def settings(self, agent: Agent, name: str = "runner-1", **changes: Any) -> Settings:
        return Settings(
            nats=NatsSettings(url=self.nats_url),
            gitea=GiteaSettings(url=self.gitea.url, token=Secret(self.token)),
            project=(Project(name="shop", tracker_project_id="p", identifier="SHOP", repository=REPO),),
            runner=RunnerSettings(
                name=name, **{"root": str(self.folder / name), "ack_wait_s": 1.5, "drain_s": 0.2, **changes}
            ),
            agents={"scripted": agent},
        )

    async def order(self, role: str = "developer", *, agent: str = "scripted", **changes: Any) -> StartRun:
        """Commit a task whose current run this is, and publish the command, as the engine does."""
        self.revision += 1
        run_id = ids.run_id("shop", "SHOP-12", self.revision)
        values: dict[str, Any] = {
            "command_id": ids.command_id("shop", "SHOP-12", self.revision, 0),
            "project": "shop",
            "key": "SHOP-12",
            "revision": self.revision,
            "trace_id": "t" * 32,
            "issued_at": NOW,
            "run_id": run_id,
            "stage": "development",
            "role": role,
            "agent": agent,
            "attempt": 1,
            "issue_id": "issue-1",
            "title": "Dark mode",
            "branch": BRANCH,
            "docs_dir": "docs/tasks/SHOP-12",
            "opens_pull_request": role == "developer",
            "timeout_s": 30,
        }
        command = StartRun(**{**values, **changes})
        await self.commit(Run(run_id=run_id, role=role, agent=agent, attempt=1))
        await CommandQueue(self.bus).publish(command)
        return command

    async def commit(self, run: Run | None) -> None:
        task = Task(
            project="shop", key="SHOP-12", issue_id="issue-1", title="Dark mode", stage="development", created_at=NOW,
            entered_at=NOW, branch=BRANCH, waiting=Waiting.RUN, run=run, revision=self.revision,
        )  # fmt: skip
        event = IssueStarted(
            event_id="e", project="shop", key="SHOP-12", at=NOW, received_at=NOW, source="plane",
            origin=Origin.WEBHOOK, trace_id="t", issue_id="issue-1", title="Dark mode",
        )  # fmt: skip
        self._seq = await self.tasks.commit(TaskRecord(task=task, event=event), self._seq)

    async def events(self, kind: type) -> list[Any]:
        history = await EventLog(self.bus).history("shop", "SHOP-12")
        return [event for _, _, event in history if isinstance(event, kind)]

    async def outcome(self, command: StartRun, eventually: Eventually, timeout_s: float = 20) -> Outcome:
        """The one outcome of a run."""

        async def finished() -> list[RunFinished]:
            return [event for event in await self.events(RunFinished) if event.run_id == command.run_id]

        (event,) = await eventually(finished, timeout_s=timeout_s)
        outcome: Outcome = event.outcome
        return outcome

    async def log(self, command: StartRun) -> bytes:
        subject = subjects.log("shop", "SHOP-12", command.run_id)
        return b"".join([message.body async for message in scan(self.bus, streams.LOGS.name, (subject,))])

    async def speaks(self, command: StartRun, eventually: Eventually) -> None:
        """Wait until the agent has printed something that has reached the log."""

        async def has_begun() -> bool:
            return b'"init"' in await self.log(command)

        await eventually(has_begun, timeout_s=20)

    async def acknowledged(self, eventually: Eventually) -> None:
        """Wait until no command is unacknowledged or waiting any more."""

        async def is_done() -> bool:
            try:
                body = json.loads(await self.bus.api("CONSUMER.INFO.COMMANDS.runner-default-normal"))
            except ApiError:  # not made yet
                return False
            return bool(body["num_ack_pending"] == 0 and body["num_pending"] == 0)

        await eventually(is_done)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Service]:
    """A runner in this process until the block ends; it must not die on the way."""
    service = Service("runner", grace_s=10)
    life = asyncio.create_task(service.run(lambda started: start(started, settings), handle_signals=False))
    try:
        yield service
    finally:
        service.stop("the test is over")
        assert await life == 0


@asynccontextmanager
async def world(folder: Path, bus: Bus, nats_url: str) -> AsyncIterator[Rig]:
    """A private repository on a simulated Gitea, and a bot that may write to it."""
    async with GiteaServer(folder / "gitea") as gitea:
        for login in ("acme", "conveyor"):
            gitea.create_user(login)
        await gitea.create_repo(REPO)
        gitea.add_collaborator(REPO, "conveyor")
        yield Rig(gitea, bus, nats_url, folder)


@pytest.fixture
async def rig(tmp_path: Path, nats: NatsProcess, bus: Bus) -> AsyncIterator[Rig]:
    async with world(tmp_path, bus, nats.url) as made:
        yield made


async def test_one_command_becomes_a_commit_a_pull_request_and_one_outcome(rig: Rig, eventually: Eventually) -> None:
    """The private repository is cloned and pushed with the runner's credentials over HTTP."""
    async with running(rig.settings(rig.agent())):
        command = await rig.order()
        outcome = await rig.outcome(command, eventually)
        await rig.acknowledged(eventually)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.SUCCEEDED, OutcomeReason.FINISHED)
    head = rig.gitea.branch_sha(REPO, BRANCH)
    assert (outcome.head, outcome.changed) == (head, True)
    assert outcome.summary
    assert outcome.usage.cost_usd > 0
    assert outcome.session_id
    assert f"run {command.run_id}" in str(await rig.gitea.read_file(REPO, BRANCH, "src/shop_12.py"))
    assert await rig.gitea.read_file(REPO, BRANCH, f".conveyor/result-{command.run_id}.json") is None
    (pull,) = rig.gitea.pulls(REPO)
    assert (outcome.pull_request, pull.title) == (pull.number, "SHOP-12 Dark mode")
    (started,) = await rig.events(RunStarted)
    assert (started.run_id, started.runner_id) == (command.run_id, "runner-1")
    entry = await Bucket(rig.bus, streams.LOOKUP).get(f"commit.{head}")
    assert entry is not None
    assert entry.value == b"shop/SHOP-12"


@pytest.mark.behaviour("RU-4")
async def test_output_is_in_the_log_stream_and_secrets_are_not(rig: Rig, eventually: Eventually) -> None:
    agent = rig.agent({"developer": [{"do": "succeed", "text": f"I found {rig.token} and hunter2-hunter2"}]})
    agent = replace(agent, env={"API_KEY": "hunter2-hunter2"})
    async with running(rig.settings(agent)):
        command = await rig.order()
        outcome = await rig.outcome(command, eventually)
    log = await rig.log(command)
    assert outcome.log_subject == subjects.log("shop", "SHOP-12", command.run_id)
    assert b'"type": "result"' in log
    assert b"I found *** and ***" in log
    assert rig.token.encode() not in log
    assert b"hunter2" not in log


async def test_verdict_and_findings_of_the_result_file_are_told(rig: Rig, eventually: Eventually) -> None:
    async with running(rig.settings(rig.agent({"reviewer": ["reject"]}))):
        command = await rig.order("reviewer")
        outcome = await rig.outcome(command, eventually)
    assert (outcome.kind, outcome.verdict) == (OutcomeKind.SUCCEEDED, "REQUEST_CHANGES")
    assert outcome.findings
    assert outcome.pull_request == 0


async def test_a_lying_agent_changes_nothing_and_the_outcome_says_so(rig: Rig, eventually: Eventually) -> None:
    async with running(rig.settings(rig.agent({"developer": ["lie"]}))):
        outcome = await rig.outcome(await rig.order(), eventually)
    assert (outcome.kind, outcome.changed, outcome.head, outcome.pull_request) == (OutcomeKind.SUCCEEDED, False, "", 0)
    assert rig.gitea.branch_sha(REPO, BRANCH) is None


async def test_a_result_of_another_run_is_no_verdict(rig: Rig, eventually: Eventually) -> None:
    async with running(rig.settings(rig.agent({"reviewer": ["foreign_result"]}))):
        outcome = await rig.outcome(await rig.order("reviewer"), eventually)
    assert (outcome.kind, outcome.verdict) == (OutcomeKind.SUCCEEDED, "")
    assert "not of this one" in outcome.detail


@pytest.mark.behaviour("RU-7")
@pytest.mark.parametrize(
    ("act", "kind", "reason"),
    [
        ("fail", OutcomeKind.FAILED, OutcomeReason.AGENT_ERROR),
        ("crash", OutcomeKind.FAILED, OutcomeReason.EXIT_CODE),
        ("rate_limit", OutcomeKind.TRANSIENT, OutcomeReason.RATE_LIMITED),
        ("overload", OutcomeKind.TRANSIENT, OutcomeReason.OVERLOADED),
        ("hang", OutcomeKind.TIMEOUT, OutcomeReason.WALL_TIME),
        ("stubborn", OutcomeKind.TIMEOUT, OutcomeReason.WALL_TIME),
        ("linger", OutcomeKind.SUCCEEDED, OutcomeReason.FINISHED),
        ("orphan", OutcomeKind.SUCCEEDED, OutcomeReason.FINISHED),
        ("babble", OutcomeKind.SUCCEEDED, OutcomeReason.FINISHED),
    ],
)
async def test_however_an_agent_behaves_there_is_one_outcome_and_nothing_left(
    rig: Rig, eventually: Eventually, act: str, kind: OutcomeKind, reason: OutcomeReason
) -> None:
    agent = rig.agent({"developer": [act]}, timeout_s=2 if kind is OutcomeKind.TIMEOUT else 0, after_result_s=0.3)
    async with running(rig.settings(agent)):
        command = await rig.order()
        outcome = await rig.outcome(command, eventually)
        assert members(command.run_id) == []
        await rig.acknowledged(eventually)
    assert (outcome.kind, outcome.reason) == (kind, reason)
    assert len(await rig.events(RunFinished)) == 1
    assert not (rig.folder / "runner-1" / "live").exists() or not any((rig.folder / "runner-1" / "live").iterdir())


async def test_an_agent_nobody_configured_fails_with_a_clear_word(rig: Rig, eventually: Eventually) -> None:
    async with running(rig.settings(rig.agent())):
        outcome = await rig.outcome(await rig.order(agent="gemini"), eventually)
        after = await rig.outcome(await rig.order(), eventually)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.FAILED, OutcomeReason.LAUNCH_FAILED)
    assert after.kind is OutcomeKind.SUCCEEDED, "its slot is free again"
    assert "'gemini' is not configured" in outcome.detail


@pytest.mark.behaviour("RU-6")
async def test_an_agent_that_is_not_there_leaves_its_commands_queued(rig: Rig, eventually: Eventually) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        http = HttpSettings(port=free.getsockname()[1])
    async with running(rig.settings(rig.agent(command=("/nowhere/agent",)), http=http)), httpx.AsyncClient() as client:
        command = await rig.order()

        async def says_why() -> bool:
            answer = await ask(rig.bus, "conveyor.runner.status", b"")
            return answer is not None and "no program" in json.loads(answer)["agents"]["scripted"]

        await eventually(says_why)
        ready = await client.get(f"http://127.0.0.1:{http.port}/readyz")
        assert ready.status_code == 503
        assert "no program" in ready.json()["failures"]["agents"]
        assert await Bucket(rig.bus, streams.RUNS).get(command.run_id) is None
    async with running(rig.settings(rig.agent(), "runner-2")):
        assert (await rig.outcome(command, eventually)).kind is OutcomeKind.SUCCEEDED


async def test_a_command_that_is_no_longer_current_is_dropped(rig: Rig, eventually: Eventually) -> None:
    old = await rig.order()
    await rig.commit(None)
    async with running(rig.settings(rig.agent())):
        await rig.acknowledged(eventually)
        new = await rig.order()
        await rig.outcome(new, eventually)
    assert [event.run_id for event in await rig.events(RunStarted)] == [new.run_id]
    assert await Bucket(rig.bus, streams.RUNS).get(old.run_id) is None


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
async def test_shutdown_stops_what_does_not_finish_in_time_and_says_so(rig: Rig, eventually: Eventually) -> None:
    async with running(rig.settings(rig.agent({"developer": ["hang"]}))):
        command = await rig.order()
        await eventually(lambda: members(command.run_id))
    outcome = await rig.outcome(command, eventually)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.CANCELLED, OutcomeReason.RUNNER_STOPPED)


async def test_work_in_conflict_with_the_forge_is_push_rejected(rig: Rig, eventually: Eventually) -> None:
    files = {"src/a.txt": "the agent's"}
    agent = rig.agent({"developer": [{"do": "succeed", "files": files, "delay_s": 1.5}]})
    async with running(rig.settings(agent)):
        command = await rig.order()
        await eventually(lambda: members(command.run_id))
        await rig.gitea.push(REPO, BRANCH, {"src/a.txt": "a person's"})
        outcome = await rig.outcome(command, eventually)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.FAILED, OutcomeReason.PUSH_REJECTED)
    assert await rig.gitea.read_file(REPO, BRANCH, "src/a.txt") == "a person's"


async def test_a_document_the_run_must_write_itself_is_removed_before(rig: Rig, eventually: Eventually) -> None:
    """An agent that lies leaves no review, although an earlier run's lies on the branch."""
    review = "docs/tasks/SHOP-12/12-review.md"
    await rig.gitea.push(REPO, BRANCH, {review: "---\nverdict: APPROVED\n---\n"})
    async with running(rig.settings(rig.agent({"reviewer": ["lie"]}))):
        outcome = await rig.outcome(await rig.order("reviewer", clears=("12-review.md",)), eventually)
    assert outcome.head == rig.gitea.branch_sha(REPO, BRANCH)
    assert await rig.gitea.read_file(REPO, BRANCH, review) is None


async def test_an_outcome_outlives_a_bus_that_is_away(
    own_nats: NatsProcess, tmp_path: Path, eventually: Eventually
) -> None:
    """The server is killed while the agent works and comes back later: the run goes on, and is told once."""
    bus = await connect(NatsSettings(url=own_nats.url), name="test")
    await provision(bus)
    async with world(tmp_path, bus, own_nats.url) as rig:
        agent = rig.agent({"developer": [{"do": "succeed", "delay_s": 1.0}]})
        async with running(rig.settings(agent, ack_wait_s=30)):
            command = await rig.order()
            await eventually(lambda: members(command.run_id))
            await own_nats.kill()
            await eventually(lambda: not members(command.run_id))
            await own_nats.start()
            outcome = await rig.outcome(command, eventually, timeout_s=30)
            await rig.acknowledged(eventually)
        assert outcome.kind is OutcomeKind.SUCCEEDED
        assert outcome.head == rig.gitea.branch_sha(REPO, BRANCH)
        assert len(await rig.events(RunFinished)) == 1
    await bus.close()


@asynccontextmanager
async def process(rig: Rig, agent: Agent, name: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A runner as a process of its own, to be killed."""
    root = rig.folder / name
    config = rig.folder / f"{name}.toml"
    config.write_text(
        f"""
[nats]
url = "{rig.nats_url}"
[gitea]
url = "{rig.gitea.url}"
token = "{rig.token}"
[[project]]
name = "shop"
tracker_project_id = "p"
identifier = "SHOP"
repository = "{REPO}"
[runner]
name = "{name}"
root = "{root}"
ack_wait_s = 1.5
[agents.scripted]
command = {json.dumps(agent.command)}
output = "claude-stream-json"
"""
    )
    arguments = (sys.executable, "-m", "conveyor.runner", "--config", str(config))
    child = await asyncio.create_subprocess_exec(*arguments, env={"PATH": os.defpath})
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


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
    assert members(command.run_id), "the agent of a killed runner lives on until its runner comes back"
    async with running(rig.settings(agent, "runner-1")):
        await eventually(lambda: not members(command.run_id))
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
