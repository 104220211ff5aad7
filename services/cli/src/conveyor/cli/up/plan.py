"""What `conveyor up` runs: the members of the tree, where each answers, and what each is told by its environment."""

import sys
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct, structs

from conveyor.cli.up.ports import Ports
from conveyor.contracts.errors import SettingsError
from conveyor.runner.settings import HOMECOMING_S, RunnerSettings
from conveyor.servicekit.sections import HttpSettings, LogSettings, NatsSettings
from conveyor.servicekit.settings import load

LOOPBACK = "127.0.0.1"
GRACE_S = 60.0
"""How long a service may drain: longer than it gives itself."""


class _Addressed(Struct, frozen=True):
    """The one part of a service's section that the tree has to know; the service itself checks the rest."""

    http: HttpSettings = HttpSettings()


class _Runner(Struct, frozen=True):
    http: HttpSettings = HttpSettings()
    drain_s: float = RunnerSettings().drain_s


class _Gateway(Struct, frozen=True):
    host: str = LOOPBACK
    port: int = 8080


class UpSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the tree reads of the configuration."""

    nats: NatsSettings = NatsSettings()
    log: LogSettings = LogSettings()
    gateway: _Gateway = _Gateway()
    engine: _Addressed = _Addressed()
    runner: _Runner = _Runner()
    reconciler: _Addressed = _Addressed()


class Member(Struct, frozen=True, kw_only=True):
    """One service of the tree."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    url: str
    """Where it answers HTTP."""
    grace_s: float = GRACE_S
    """How long it may drain before it is killed."""


class Plan(Struct, frozen=True, kw_only=True):
    """The whole tree."""

    nats: NatsSettings
    nats_port: int
    nats_dir: Path
    members: tuple[Member, ...]


def plan(config: Path, ports: Ports, *, is_pretty: bool) -> Plan:
    """Return the tree that this configuration asks for; ports left at 0 are chosen here, so that they can be told.

    SettingsError names what cannot be used.
    """
    if not config.exists():
        raise SettingsError(f"{config}: there is no such configuration file; --config names another")
    settings = load(UpSettings, config)
    nats_port = _nats_port(settings.nats, ports)
    url = f"nats://{LOOPBACK}:{nats_port}" if settings.nats.embedded else settings.nats.url
    told = {"CONVEYOR_NATS__URL": url}
    if is_pretty and settings.log.format == "auto":
        told["CONVEYOR_LOG__FORMAT"] = "pretty"
    addresses = {
        "gateway": ("CONVEYOR_GATEWAY__PORT", settings.gateway.host, settings.gateway.port),
        "stage-engine": _variable("ENGINE", settings.engine.http),
        "runner": _variable("RUNNER", settings.runner.http),
        "reconciler": _variable("RECONCILER", settings.reconciler.http),
    }
    drains_s = {"runner": settings.runner.drain_s + HOMECOMING_S}
    members = []
    for name, (variable, host, wanted) in addresses.items():
        port = wanted or ports.free(host)
        members.append(_member(name, config, {**told, variable: str(port)}, (host, port)))
    members = [structs.replace(one, grace_s=one.grace_s + drains_s.get(one.name, 0)) for one in members]
    return Plan(
        nats=settings.nats, nats_port=nats_port, nats_dir=config.parent / settings.nats.data_dir, members=tuple(members)
    )


def _variable(section: str, http: HttpSettings) -> tuple[str, str, int]:
    return f"CONVEYOR_{section}__HTTP__PORT", http.host, http.port


def _member(name: str, config: Path, environment: dict[str, str], address: tuple[str, int]) -> Member:
    host, port = address
    reached = LOOPBACK if host in ("0.0.0.0", "::", "") else host  # noqa: S104 - a comparison, nothing is bound
    return Member(
        name=name,
        command=(sys.executable, "-m", f"conveyor.{name.replace('-', '_')}", "--config", str(config)),
        environment=environment,
        url=f"http://{reached}:{port}",
    )


def _nats_port(nats: NatsSettings, ports: Ports) -> int:
    if not nats.embedded:
        return 0
    parts = urlsplit(nats.url)
    if parts.hostname not in (LOOPBACK, "localhost") or "," in nats.url:
        raise SettingsError(
            f"nats.url: {nats.url} is not on this machine, but nats.embedded asks for a server of our own: "
            "set embedded = false, or a url such as nats://127.0.0.1:4222"
        )
    return (4222 if parts.port is None else parts.port) or ports.free(LOOPBACK)
