"""What the reconciler is configured with: its own section and those it shares with other services."""

from typing import Annotated

from msgspec import Meta, Struct, field

from conveyor.contracts.project import Project
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

Seconds = Annotated[float, Meta(gt=0)]
Duration = Annotated[float, Meta(ge=0)]


class ReconcilerSettings(Section, frozen=True, kw_only=True):
    """`[reconciler]`: finds what lost webhooks would have told."""

    enabled: bool = True
    """Off: the service runs and looks at nothing."""
    tracker: bool = True
    """Whether the tracker is swept."""
    forge: bool = True
    """Whether the forge is asked about tasks that wait on it."""
    stalls: bool = True
    """Whether tasks that stand still are nudged."""
    blocked_guard: bool = True
    """Whether the tracker is asked before a nudge, so that what waits for a person or for time is left alone."""
    announce: bool = True
    """Whether people are told of repairs; the log tells them all the same."""
    comments: bool = True
    """Whether verdicts and answers in comments are read from the tracker, whose list shows who really wrote them."""
    interval_s: Seconds = 120.0
    """From the end of one pass to the start of the next."""
    stage_grace_s: dict[str, Duration] = field(default_factory=dict)
    """Stage -> how long a task may stand still there before it is nudged; `grace_s` where nothing is said."""
    grace_s: Duration = 600.0
    """How long a webhook may take before what it would have told counts as lost."""
    full_every_s: Duration = 3600.0
    """How often the tracker's whole list is read instead of what changed lately."""
    hooks_every_s: Duration = 600.0
    """How often the forge's webhooks are looked at, and registered again where they are missing or inactive."""
    loss_alert: Annotated[float, Meta(gt=0, le=1)] = 0.1
    """The share of a source's facts that webhooks lose before people are told; small numbers tell nothing."""
    lease_s: Seconds = 20.0
    """How long a leader that fell silent is waited for before a standby takes over."""
    http: HttpSettings = HttpSettings()


class Door(Struct, frozen=True, kw_only=True):
    """`[gateway]`, of which one key matters here; the gateway checks the rest."""

    public_url: str = ""
    """Where Gitea reaches the gateway; empty: its webhooks are not looked after."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything the reconciler reads."""

    nats: NatsSettings = NatsSettings()
    log: LogSettings = LogSettings()
    plane: PlaneSettings = PlaneSettings()
    gitea: GiteaSettings = GiteaSettings()
    project: tuple[Project, ...] = ()
    pipelines: PipelineFiles = {}
    notify: NotifySettings = NotifySettings()
    gateway: Door = Door()
    reconciler: ReconcilerSettings = ReconcilerSettings()
