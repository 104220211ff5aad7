"""A house for the engine: a simulated tracker and forge with one project, a bus, and what tests ask about them."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from conveyor.contracts import codec, facts_ids
from conveyor.contracts.commands import AnyCommand
from conveyor.contracts.events import Actor, AnyEvent, IssueStarted, Origin, VerdictGiven, VerdictValue, Via
from conveyor.contracts.project import Project
from conveyor.contracts.streams import COMMANDS
from conveyor.contracts.task import Task
from conveyor.servicekit.bus import Bus, EventLog, StoredRevision, TaskStore, scan
from conveyor.simulator.gitea import GiteaServer
from conveyor.simulator.plane.server import PlaneOptions, PlaneServer
from conveyor.simulator.plane.world import Issue, User

REPO = "acme/shop"
FORGE_BOT = "conveyor"
KEY = "SHOP-1"
_CHANGING = re.compile(r"\b[0-9a-f]{12,40}\b|\d\d:\d\d:\d\d")


def steady(text: str) -> str:
    """The text without commits and times, which differ from run to run."""
    return _CHANGING.sub("~", text)


@dataclass
class House:
    """Both servers, the bus, and the accounts of those who act."""

    plane: PlaneServer
    gitea: GiteaServer
    bus: Bus
    nats_url: str
    bot: User
    folder: Path
    pipeline: str = ""
    """The text of the pipeline that rules the project's tasks; empty: the one that ships."""
    notify: dict[str, Any] = field(default_factory=dict)
    """The table `[notify]`; empty: people are told in the log."""
    project: Project = field(init=False)

    def __post_init__(self) -> None:
        (tracker_project,) = self.plane.world.projects.values()
        self.project = Project(
            name="shop",
            tracker_project_id=tracker_project.id,
            identifier="SHOP",
            repository=REPO,
            ci=False,
            pipeline="tested" if self.pipeline else "default",
        )

    # --- configuration ----------------------------------------------------------------------------------------------

    def change_project(self, **fields: Any) -> None:
        """Configure the project otherwise, for engines that start from now on."""
        self.project = msgspec.structs.replace(self.project, **fields)

    def configuration(self, *, nats_url: str = "", plane_url: str = "", gitea_url: str = "", **engine: Any) -> Path:
        """Write the configuration of one engine and return its path; other addresses lead through a proxy."""
        tables = {
            "nats": {"url": nats_url or self.nats_url},
            "log": {"format": "json"},
            "plane": {
                "url": plane_url or self.plane.url,
                "workspace": self.plane.slug,
                "api_key": self.bot.api_key,
            },
            "gitea": {"url": gitea_url or self.gitea.url, "token": self.gitea.create_token(FORGE_BOT)},
            "engine": engine,
            "notify": self.notify,
            "project": [msgspec.to_builtins(self.project)],
        }
        if self.pipeline:
            (self.folder / "pipeline.toml").write_text(self.pipeline)
            tables["pipelines"] = {"tested": "pipeline.toml"}
        path = self.folder / f"conveyor-{uuid4().hex[:8]}.toml"
        path.write_bytes(_toml(tables))
        return path

    # --- what people do ---------------------------------------------------------------------------------------------

    def issue(self, title: str = "Sell tea", description: str = "<p>Tea.</p>") -> Issue:
        """A new issue in the tracker's default status."""
        (tracker_project,) = self.plane.world.projects.values()
        return self.plane.create_issue(tracker_project, title, description, quietly=True)

    async def publish(self, event: AnyEvent) -> int:
        """Store a fact as the gateway would; return where it lies."""
        return (await EventLog(self.bus).publish(event)).seq

    def said(self, key: str, fact_id: str, at: datetime, by: User | None = None) -> dict[str, Any]:
        """The fields that every event from the tracker carries."""
        actor = by or self.plane.owner
        return {
            "event_id": fact_id,
            "project": self.project.name,
            "key": key,
            "at": at,
            "received_at": self.plane.clock.now(),
            "source": "plane",
            "origin": Origin.WEBHOOK,
            "trace_id": facts_ids.trace_id(fact_id),
            "actor": Actor(actor_id=actor.id, name=actor.display_name),
        }

    async def start(self, issue: Issue, *, depends_on: tuple[str, ...] = ()) -> IssueStarted:
        """A person moves the issue to the start status, and the fact reaches the bus."""
        self.plane.move_issue(issue, "To Analyse", quietly=True)
        fact_id = facts_ids.issue_moved(issue.id, issue.state_id, issue.updated_at)
        event = IssueStarted(
            **self.said(self.plane.key_of(issue), fact_id, issue.updated_at),
            issue_id=issue.id,
            title=issue.name,
            depends_on=depends_on,
        )
        await self.publish(event)
        return event

    async def judge(self, issue: Issue, text: str, by: User | None = None) -> VerdictGiven:
        """A person comments `:approved:` or `:rejected: reason`, and the fact reaches the bus."""
        comment = self.plane.comment(issue, text, by=by, quietly=True)
        word, _, reason = text.strip().removeprefix(":").partition(":")
        event = VerdictGiven(
            **self.said(self.plane.key_of(issue), facts_ids.comment_added(comment.id), comment.created_at, by),
            verdict=VerdictValue(word),
            via=Via.COMMENT,
            issue_id=issue.id,
            reason=reason.strip(),
        )
        await self.publish(event)
        return event

    # --- what became of it ------------------------------------------------------------------------------------------

    async def task(self, key: str = KEY) -> Task | None:
        """The task as it is now."""
        stored = await TaskStore(self.bus).load(self.project.name, key)
        return stored.record.task if stored else None

    async def revisions(self, key: str = KEY) -> list[StoredRevision]:
        """Every revision of a task, oldest first."""
        return await TaskStore(self.bus).history(self.project.name, key)

    async def commands(self, key: str = KEY) -> list[AnyCommand]:
        """Every command in COMMANDS for this task, in the order they lie there."""
        found = [codec.decode_command(one.body) async for one in scan(self.bus, COMMANDS.name, COMMANDS.subjects)]
        return [command for command in found if command.key == key]

    def status(self, key: str = KEY) -> str:
        """The status the tracker shows."""
        return self.plane.state_of(key)

    def comments(self, key: str = KEY) -> list[str]:
        """What Conveyor said on the issue, oldest first."""
        return [
            steady(re.sub(r"<[^>]+>", " ", comment.comment_html)).strip()
            for comment in self.plane.comments_of(key)
            if comment.external_source == "conveyor"
        ]

    async def unquiet(self) -> list[str]:
        """Which queues hold something waiting or in hand; what somebody merely reads for himself is none."""
        queues: list[Any] = []
        for stream in ("EVENTS", "TASKS", "COMMANDS"):
            queues += msgspec.json.decode(await self.bus.api(f"CONSUMER.LIST.{stream}"))["consumers"] or ()
        return [
            f"{one['name']}: {one['num_pending']} waiting, {one['num_ack_pending']} in hand"
            for one in queues
            if "durable_name" in one["config"] and (one["num_pending"] or one["num_ack_pending"])
        ]

    async def is_quiet(self) -> bool:
        """Whether nobody has anything in hand or waiting on the bus."""
        return not await self.unquiet()


@asynccontextmanager
async def open_house(bus: Bus, nats_url: str, folder: Path, pipeline: str = "") -> AsyncIterator[House]:
    """A house with the project Shop, its repository, an owner Ada and our accounts at both servers."""
    options = PlaneOptions(slug="acme", rate_limit=None)
    async with PlaneServer(options) as plane, GiteaServer(folder / "gitea") as gitea:
        plane.create_project("Shop", "SHOP")
        for login in ("acme", FORGE_BOT, "ada"):
            gitea.create_user(login)
        await gitea.create_repo(REPO)
        for login in (FORGE_BOT, "ada"):
            gitea.add_collaborator(REPO, login)
        bot = plane.add_user("Conveyor", is_bot=True)
        yield House(plane, gitea, bus, nats_url, bot, folder, pipeline)


def _toml(tables: dict[str, Any]) -> bytes:
    """Write TOML by hand for the few shapes that stand above: the standard library only reads it."""
    lines: list[str] = []
    for name, value in tables.items():
        rows = value if isinstance(value, list) else [value]
        for row in rows:
            lines.append(f"[[{name}]]" if isinstance(value, list) else f"[{name}]")
            lines += [f"{key} = {msgspec.json.encode(one).decode()}" for key, one in row.items()]
    return "\n".join(lines).encode()
