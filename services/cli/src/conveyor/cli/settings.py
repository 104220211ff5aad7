"""What the command line reads from the configuration; sections of the services are theirs and are skipped."""

from pathlib import Path

from msgspec import Struct

from conveyor.contracts.project import Project
from conveyor.servicekit.sections import LogSettings, NatsSettings, PipelineFiles
from conveyor.servicekit.settings import load

DEFAULT_CONFIG = Path("conveyor.toml")


class CliSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The sections that operators' commands need."""

    nats: NatsSettings = NatsSettings()
    log: LogSettings = LogSettings()
    project: tuple[Project, ...] = ()
    pipelines: PipelineFiles = {}


def settings_at(path: Path) -> CliSettings:
    """Return the settings in this file. Only the default file may be missing; SettingsError otherwise."""
    return load(CliSettings, None if path == DEFAULT_CONFIG and not path.exists() else path)
