"""What the stage-engine reads from the configuration."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from conveyor.contracts.errors import SettingsError
from conveyor.contracts.project import Project
from conveyor.contracts.streams import COMMANDS, DAY_S
from conveyor.servicekit.sections import (
    GiteaSettings,
    HttpSettings,
    LogSettings,
    NatsSettings,
    NotifySettings,
    PipelineFiles,
    PlaneSettings,
    Section,
)

Loop = Literal["decide", "relay", "gates", "effects"]
Some = Annotated[int, Meta(ge=1)]
"""A number of which none would mean that nothing is ever done."""
Seconds = Annotated[float, Meta(gt=0)]


class EngineSettings(Section, frozen=True, kw_only=True):
    """`[engine]`: the four loops."""

    http: HttpSettings = HttpSettings()
    loops: tuple[Loop, ...] = ("decide", "relay", "gates", "effects")
    """Which loops this process runs; all of them unless they are spread over several."""
    tasks_at_once: Some = 64
    """How many tasks are decided at the same time; events of one task always one after the other."""
    gates_at_once: Some = 8
    """How many gates are looked at at the same time."""
    effects_at_once: Some = 4
    """How many effects are carried out at the same time, per target."""
    ack_wait_s: Seconds = 30.0
    """How long what a dead engine had in hand waits before it is given to another; three signs of life in that time."""
    lease_ttl_s: Annotated[float, Meta(ge=1)] = 30.0
    """How long a dead owner's irreversible effect waits before another takes it over (SE-17); whole seconds."""
    mergeable_deadline_s: Seconds = 20.0
    """How long the gate waits for the forge to find out whether a branch can be merged; then it is a conflict."""
    merge_deadline_s: Seconds = 120.0
    """How long a merge is tried again while the forge says that it is not ready."""
    merge_ci_deadline_s: Seconds = 3600.0
    """How long the head of the merge queue waits for CI of the commit brought up to date; then it leaves the queue.
    Counted anew after a restart."""
    merge_poll_s: Seconds = 10.0
    """The longest pause between two looks of the merge queue at CI or at the forge; the first is 0.25 s."""
    health_interval_s: Seconds = 10.0
    """How often the post-deploy monitor asks."""
    health_threshold: Some = 3
    """How many failed answers in a row mean degraded."""
    keep_ended_days: Annotated[int, Meta(gt=COMMANDS.max_age_s // DAY_S)] = 90
    """How long an ended task's events and revisions are kept; longer than its commands (30 days), whose names are given
    again when it is begun anew."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The sections the stage-engine needs."""

    nats: NatsSettings = NatsSettings()
    log: LogSettings = LogSettings()
    plane: PlaneSettings
    gitea: GiteaSettings
    project: tuple[Project, ...]
    pipelines: PipelineFiles = {}
    notify: NotifySettings = NotifySettings()
    engine: EngineSettings = EngineSettings()


def check_engine(settings: Settings) -> None:
    """Raise SettingsError for what the file may leave out and the engine cannot do without."""
    plane, gitea = settings.plane, settings.gitea
    needed = {
        "plane.url": plane.url,
        "plane.workspace": plane.workspace,
        "plane.api_key": plane.api_key,
        "gitea.url": gitea.url,
        "gitea.token": gitea.token,
        "project": settings.project,
        "engine.loops": settings.engine.loops,
    }
    if missing := [name for name, value in needed.items() if not value]:
        raise SettingsError(f"{', '.join(missing)}: missing; the stage-engine cannot start without")
