"""What the gateway is configured with: its own section and those it shares with other services."""

from msgspec import Struct

from conveyor.contracts.project import Project
from conveyor.servicekit.sections import GiteaSettings, LogSettings, NatsSettings, PlaneSettings, Section

MIB = 1024 * 1024


class GatewaySettings(Section, frozen=True, kw_only=True):
    """`[gateway]`: the door for webhooks."""

    host: str = "127.0.0.1"
    """The address it listens on; 0.0.0.0 for all of this machine's."""
    port: int = 8080
    """0 takes a free port, which the log names."""
    public_url: str = ""
    """Where Plane and Gitea reach it, such as https://conveyor.example.org; `setup webhooks` and `doctor` want it."""
    max_body_bytes: int = MIB
    """A larger webhook body is refused without reading it (GW-2)."""
    answer_within_s: float = 1.0
    """From the end of a delivery's body to its answer, or to the end of its connection (GW-3); Gitea gives up after 5.
    Six tenths of it belong to the bus and to finding the task, the rest to the spool."""
    spool_dir: str = ".conveyor/spool"
    """The folder of deliveries that wait for the bus, relative to the configuration file. One gateway each."""
    spool_max_bytes: int = 256 * MIB
    """How much of each source may wait there; beyond it connections are closed without an answer."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything the gateway reads."""

    nats: NatsSettings = NatsSettings()
    log: LogSettings = LogSettings()
    plane: PlaneSettings = PlaneSettings()
    gitea: GiteaSettings = GiteaSettings()
    project: tuple[Project, ...] = ()
    gateway: GatewaySettings = GatewaySettings()
