"""The subjects: how a message is addressed, so that `nats stream view` reads as a story."""

import re

from conveyor.contracts.commands import (
    AnyCommand,
    ArmTimer,
    CancelRun,
    CheckDependencies,
    CheckHealth,
    DeleteBranch,
    EnsureBranch,
    EvaluateGate,
    Merge,
    Notify,
    PostComment,
    ReleaseDependents,
    SetStatus,
    StartRun,
)
from conveyor.contracts.events import AnyEvent

_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")

EFFECT_TARGETS = ("tracker", "forge", "merge", "notify", "health", "tasks", "runs")
"""Each target has a queue of its own: a slow one never delays another (SE-21)."""

_TARGET_OF: dict[type, str] = {
    SetStatus: "tracker",
    PostComment: "tracker",
    EnsureBranch: "forge",
    DeleteBranch: "forge",
    Merge: "merge",
    Notify: "notify",
    CheckHealth: "health",
    CheckDependencies: "tasks",
    ReleaseDependents: "tasks",
    CancelRun: "runs",
}


def kind(message_type: type) -> str:
    """Return the snake-case name of a message type, as it stands in subjects: IssueStarted -> issue_started."""
    return _HUMP.sub("_", message_type.__name__).lower()


def event(event: AnyEvent) -> str:
    """Where an event is published: `event.<project>.<key>.<kind>`."""
    return f"event.{event.project}.{event.key}.{kind(type(event))}"


def events_of(project: str, key: str) -> str:
    """Every event of one task."""
    return f"event.{project}.{key}.>"


def task(project: str, key: str) -> str:
    """Where a task's revisions are published: `task.<project>.<key>`."""
    return f"task.{project}.{key}"


def command(command: AnyCommand) -> str:
    """Where a command is published, a subject of its own: runs by pool and priority, the rest by target.

    A timer is no work but a message schedule and lives beside the events it fires: `timer.<project>.<key>.<id>`.
    """
    if isinstance(command, StartRun):
        return f"command.run.{command.pool}.{command.priority}.{command.command_id}"
    if isinstance(command, EvaluateGate):
        return f"command.gate.{command.project}.{command.key}.{command.command_id}"
    if isinstance(command, ArmTimer):
        return f"timer.{command.project}.{command.key}.{command.command_id}"
    target = _TARGET_OF[type(command)]
    return f"command.effect.{target}.{command.project}.{command.key}.{command.command_id}"


def runs_of(pool: str, priority: str) -> str:
    """Every run command of a pool with this priority."""
    return f"command.run.{pool}.{priority}.>"


def gates() -> str:
    """Every gate command."""
    return "command.gate.>"


def effects_on(target: str) -> str:
    """Every effect command for one target of EFFECT_TARGETS."""
    return f"command.effect.{target}.>"


def effects_of(target: str, project: str) -> str:
    """Every effect command of one project for one target."""
    return f"command.effect.{target}.{project}.>"


def log(project: str, key: str, run_id: str) -> str:
    """Where a run's output goes, chunk by chunk."""
    return f"log.{project}.{key}.{run_id}"


def logs_of(project: str, key: str) -> str:
    """The output of every run of one task."""
    return f"log.{project}.{key}.>"


def dead(stream: str, subject: str) -> str:
    """Where a message that nobody could process ends: `dead.<stream>.<its subject>`."""
    return f"dead.{stream}.{subject}"


def run_control(run_id: str) -> str:
    """Where the owner of a run answers questions about it, over core NATS: `ctl.run.<run_id>`."""
    return f"ctl.run.{run_id}"


def address_of(subject: str) -> tuple[str, str]:
    """Return project and key of an event, task or log subject; both empty when it is none."""
    tokens = subject.split(".")
    if len(tokens) < 3 or tokens[0] not in ("event", "task", "log"):
        return "", ""
    return tokens[1], tokens[2]
