"""What the runner reads from the configuration."""

import re

from msgspec import Struct, field
from msgspec.structs import replace

from conveyor.contracts.errors import SettingsError
from conveyor.contracts.project import Project
from conveyor.runner.core.agent import Agent
from conveyor.runner.core.presets import PRESETS, completed
from conveyor.runner.hooks import HookSettings
from conveyor.runner.sandbox import SandboxSettings
from conveyor.runner.sandbox import check as check_sandbox
from conveyor.servicekit.sections import (
    GiteaSettings,
    HttpSettings,
    LogSettings,
    NatsSettings,
    PlaneSettings,
    Section,
)

_OURS = re.compile(r"CONVEYOR_[A-Z]+__")
"""How variables begin that hold our settings, secrets among them."""


class RunnerSettings(Section, frozen=True, kw_only=True):
    """`[runner]`: one runner process."""

    http: HttpSettings = HttpSettings()
    name: str = ""
    """How it is called in events and on the console; empty: host and process id."""
    root: str = ".conveyor/runner"
    """Where mirrors, worktrees and homes of agents lie; relative to the configuration file. One runner per root."""
    slots: int = 1
    """How many runs at once (RU-1)."""
    pools: tuple[str, ...] = ("default",)
    """The queues it takes runs from."""
    heartbeat_s: float = 10.0
    """How often it says that it is there."""
    ack_wait_s: float = 12.0
    """How long after a runner's last sign of life its runs are given to another; it gives one every third of this."""
    drain_s: float = 10.0
    """On shutdown: how long runs may go on before they are stopped (RU-11)."""
    sandbox: SandboxSettings = SandboxSettings()
    hooks: HookSettings = HookSettings()
    caps: dict[str, int] = field(default_factory=dict)
    """How many runs at once over all runners: `"project.shop" = 2`; also repository, stage, agent and pool."""
    min_free_mb: int = 1024
    """So much of the disk stays free: below it worktrees of idle tasks go, and while that is not enough nothing is
    claimed; 0: no limit."""
    spare_worktrees: bool = True
    """Whether a worktree is checked out ahead, while nothing is in hand, for repositories where that takes long; each
    takes the disk of one checkout."""
    author_name: str = "Conveyor"
    """Who commits what agents leave."""
    author_email: str = "conveyor@localhost"
    """The address that stands in those commits."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The sections the runner needs."""

    nats: NatsSettings = NatsSettings()
    log: LogSettings = LogSettings()
    plane: PlaneSettings = PlaneSettings()
    gitea: GiteaSettings
    project: tuple[Project, ...]
    runner: RunnerSettings = RunnerSettings()
    agents: dict[str, Agent]


CAPPED = ("project", "repository", "stage", "agent", "pool")
HOMECOMING_S = 60.0
"""After `drain_s` runs are stopped; this long they may take to die, to push what they left and to tell the engine."""


def grace_s(settings: Settings) -> float:
    """Return how many seconds the runner may drain in all."""
    return settings.runner.drain_s + HOMECOMING_S


def with_presets(settings: Settings) -> Settings:
    """Return the settings with every agent completed from its preset."""
    return replace(settings, agents={name: completed(agent) for name, agent in settings.agents.items()})


def check(settings: Settings) -> None:
    """Refuse what cannot work: SettingsError names the key and what was expected."""
    if settings.runner.slots < 1:
        raise SettingsError("runner.slots: expected 1 or more")
    if not settings.runner.pools:
        raise SettingsError("runner.pools: expected at least one pool")
    check_sandbox(settings.runner.sandbox)
    for name, limit in settings.runner.caps.items():
        if name.partition(".")[0] not in CAPPED or limit < 1:
            raise SettingsError(
                f"runner.caps.{name}: expected 1 or more for one of {', '.join(CAPPED)}, as in project.shop"
            )
    for name, agent in settings.agents.items():
        _check_agent(name, agent)


def _check_agent(name: str, agent: Agent) -> None:
    if agent.preset and agent.preset not in PRESETS:
        raise SettingsError(f"agents.{name}.preset: {agent.preset!r} is not one of {', '.join(sorted(PRESETS))}")
    if not agent.preset and not (agent.command and agent.command[0]):
        raise SettingsError(f"agents.{name}: expected a preset, or a command: a program and its arguments")
    ours = [name for name in agent.pass_env if _OURS.match(name)]
    if ours:
        raise SettingsError(f"agents.{name}.pass_env: {ours[0]} is a setting of Conveyor's and not given to agents")
