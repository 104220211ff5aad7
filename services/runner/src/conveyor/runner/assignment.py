"""What a run works with and what it is asked to do, as its steps share it."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path

from msgspec import Struct

from conveyor.contracts.commands import StartRun
from conveyor.contracts.outcomes import Outcome, OutcomeKind, OutcomeReason
from conveyor.contracts.project import Project
from conveyor.runner.core.agent import Agent
from conveyor.runner.core.classify import DETAIL_CHARS
from conveyor.runner.hooks import Hooks
from conveyor.runner.logs import LogSink
from conveyor.runner.ports import Forge, ParserFor, Tracker
from conveyor.runner.process import StopSwitch
from conveyor.runner.sandbox import Sandbox
from conveyor.runner.sessions import Sessions
from conveyor.runner.spend import Spend
from conveyor.runner.workspace import Workspaces
from conveyor.servicekit.clock import Clock


class Means(Struct, frozen=True, kw_only=True):
    """What every run of this runner works with."""

    workspaces: Workspaces
    sandbox: Sandbox
    hooks: Hooks
    forge: Forge
    tracker: Tracker | None
    """None where no tracker is configured: prompts then know the issue's title alone."""
    parser_for: ParserFor
    call_in: Callable[[bytes], str]
    """The tool call that a line of output tells of; empty for none."""
    sink: LogSink
    spend: Spend
    sessions: Sessions
    clock: Clock
    root: Path
    environment: Mapping[str, str]
    author: tuple[str, str]
    secrets: Collection[str]
    """Texts that never appear in a log."""
    clone_url: Callable[[str], str]
    remember: Callable[[str, StartRun], Awaitable[None]]
    """Notes whose commit this is, before the forge can speak of it (GW-8)."""


class Assignment(Struct, frozen=True, kw_only=True):
    """One run: the command, its project, its agent, how it is stopped, and whether it is still ours."""

    command: StartRun
    project: Project
    agent: Agent
    switch: StopSwitch
    still_ours: Callable[[], Awaitable[None]]
    """Raises when the claim is gone: nothing may be pushed then (rule 5)."""
    agent_ended: Callable[[Outcome], Awaitable[None]]
    """Told what the agent itself came to, as soon as it is known."""


def ended(kind: OutcomeKind, reason: OutcomeReason, detail: str) -> Outcome:
    """Return an outcome with a detail that is not too long."""
    return Outcome(kind=kind, reason=reason, detail=detail[:DETAIL_CHARS])
