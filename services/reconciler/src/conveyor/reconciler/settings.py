"""What the reconciler is configured with: its own section and those it shares with other services."""

from msgspec import Struct

from conveyor.contracts.project import Project
from conveyor.servicekit.sections import GiteaSettings, HttpSettings, LogSettings, NatsSettings, PlaneSettings, Section


class ReconcilerSettings(Section, frozen=True, kw_only=True):
    """`[reconciler]`: finds what lost webhooks would have told."""

    enabled: bool = True
    """Off: the service runs and looks at nothing."""
    tracker: bool = True
    """Whether the tracker is swept."""
    forge: bool = True
    """Whether the forge is asked about tasks that wait on it."""
    interval_s: float = 120.0
    """From the end of one pass to the start of the next."""
    grace_s: float = 600.0
    """How long a webhook may take before what it would have told counts as lost."""
    full_every_s: float = 3600.0
    """How often the tracker's whole list is read instead of what changed lately."""
    lease_s: float = 20.0
    """How long a leader that fell silent is waited for before a standby takes over."""
    http: HttpSettings = HttpSettings()


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything the reconciler reads."""

    nats: NatsSettings = NatsSettings()
    log: LogSettings = LogSettings()
    plane: PlaneSettings = PlaneSettings()
    gitea: GiteaSettings = GiteaSettings()
    project: tuple[Project, ...] = ()
    reconciler: ReconcilerSettings = ReconcilerSettings()
