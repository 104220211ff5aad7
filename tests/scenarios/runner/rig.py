"""The world around a runner: a bus, a forge, an agent, and what the engine would order."""

import asyncio
import json
import os
import sys
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conveyor.contracts import ids, streams, subjects
from conveyor.contracts.commands import StartRun
from conveyor.contracts.events import IssueStarted, Origin, RunFinished
from conveyor.contracts.outcomes import Outcome
from conveyor.contracts.project import Project
from conveyor.contracts.task import Run, Task, Waiting
from conveyor.contracts.transition import TaskRecord
from conveyor.runner.app import start
from conveyor.runner.core.agent import Agent
from conveyor.runner.sandbox import SandboxSettings
from conveyor.runner.settings import RunnerSettings, Settings
from conveyor.servicekit.bus import (
    ApiError,
    Bus,
    CommandQueue,
    EventLog,
    TaskStore,
    scan,
)
from conveyor.servicekit.lifecycle import Service
from conveyor.servicekit.secret import Secret
from conveyor.servicekit.sections import GiteaSettings, NatsSettings
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
        self.sandbox = SandboxSettings(readable=(str(folder / "script.json"),), writable=(str(folder / "state"),))
        """What agents may reach: the scripted one reads its script and counts its runs."""
        (folder / "state").mkdir()
        self._seqs: dict[str, int] = {}
        self.revision = zlib.crc32(str(folder).encode()) % 100_000 * 100
        """Where runs' ids begin to count: tests beside this one have others, and runners sweep by run id."""

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
                name=name,
                sandbox=self.sandbox,
                **{"root": str(self.folder / name), "ack_wait_s": 1.5, "drain_s": 0.2, "min_free_mb": 0, **changes},
            ),
            agents={"scripted": agent},
        )

    async def order(self, role: str = "developer", *, agent: str = "scripted", **changes: Any) -> StartRun:
        """Commit a task whose current run this is, and publish the command, as the engine does."""
        self.revision += 1
        key = changes.get("key", "SHOP-12")
        run_id = ids.run_id("shop", key, self.revision)
        values: dict[str, Any] = {
            "command_id": ids.command_id("shop", key, self.revision, 0),
            "project": "shop",
            "key": key,
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
        await self.commit(Run(run_id=run_id, role=role, agent=agent, attempt=1), key=key)
        await CommandQueue(self.bus).publish(command)
        return command

    async def commit(self, run: Run | None, stage: str = "development", key: str = "SHOP-12") -> None:
        task = Task(
            project="shop", key=key, issue_id="issue-1", title="Dark mode", stage=stage, created_at=NOW,
            entered_at=NOW, branch=BRANCH, waiting=Waiting.RUN, run=run, revision=self.revision,
        )  # fmt: skip
        event = IssueStarted(
            event_id="e", project="shop", key=key, at=NOW, received_at=NOW, source="plane",
            origin=Origin.WEBHOOK, trace_id="t", issue_id="issue-1", title="Dark mode",
        )  # fmt: skip
        record = TaskRecord(task=task, event=event)
        self._seqs[key] = await self.tasks.commit(record, self._seqs.get(key, 0))

    def worktree(self, runner: str = "runner-1") -> Path:
        """Where the task's worktree lies while there is one."""
        return self.folder / runner / "worktrees" / "shop.SHOP-12"

    async def events(self, kind: type, key: str = "SHOP-12") -> list[Any]:
        history = await EventLog(self.bus).history("shop", key)
        return [event for _, _, event in history if isinstance(event, kind)]

    async def outcome(self, command: StartRun, eventually: Eventually, timeout_s: float = 20) -> Outcome:
        """The one outcome of a run."""

        async def finished() -> list[RunFinished]:
            return [event for event in await self.events(RunFinished, command.key) if event.run_id == command.run_id]

        (event,) = await eventually(finished, timeout_s=timeout_s)
        outcome: Outcome = event.outcome
        return outcome

    async def log(self, command: StartRun) -> bytes:
        subject = subjects.log("shop", command.key, command.run_id)
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


@asynccontextmanager
async def process(
    rig: Rig, agent: Agent, name: str, ack_wait_s: float = 1.5
) -> AsyncIterator[asyncio.subprocess.Process]:
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
ack_wait_s = {ack_wait_s}
[runner.sandbox]
readable = {json.dumps(rig.sandbox.readable)}
writable = {json.dumps(rig.sandbox.writable)}
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
