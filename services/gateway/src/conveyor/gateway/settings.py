"""What the gateway is configured with: its own section and those it shares with other services."""

from msgspec import Struct

from conveyor.contracts.project import Project
from conveyor.servicekit.sections import GiteaSettings, LogSettings, NatsSettings, PlaneSettings, Section

MIB = 1024 * 1024


class GatewaySettings(Section, frozen=True, kw_only=True):
    """`[gateway]`."""

    host: str = "127.0.0.1"
    port: int = 8080
    """0 takes a free port, which the log names."""
    max_body_bytes: int = MIB
    """A larger webhook body is refused without reading it (GW-2)."""
    publish_timeout_s: float = 1.0
    """How long the bus may take to say that an event is safe (GW-3)."""
    resolve_timeout_s: float = 2.0
    """How long finding out which task a delivery is about may take; Gitea gives up after 5."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything the gateway reads."""

    nats: NatsSettings = NatsSettings()
    log: LogSettings = LogSettings()
    plane: PlaneSettings = PlaneSettings()
    gitea: GiteaSettings = GiteaSettings()
    project: tuple[Project, ...] = ()
    gateway: GatewaySettings = GatewaySettings()
