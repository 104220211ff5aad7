"""The `conveyor` command: global options, every command registered once, and whom the commands talk to outside."""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from conveyor.adapters.agents import FORMATS
from conveyor.adapters.gitea import GiteaForge
from conveyor.adapters.plane import PlaneTracker
from conveyor.cli import session
from conveyor.cli.demo import command as demo_command
from conveyor.cli.doctor import command as doctor_command
from conveyor.cli.exits import EPILOG
from conveyor.cli.operate import burying, looking, pipelines, reading, reconciling, releasing, speaking, spending
from conveyor.cli.outside import Forge, Outside, Tracker
from conveyor.cli.settings import DEFAULT_CONFIG
from conveyor.cli.setup import command as configuring
from conveyor.cli.setup import webhooks
from conveyor.cli.up import command as up_command
from conveyor.servicekit.sections import GiteaSettings, PlaneSettings

Config = Annotated[
    Path, typer.Option("--config", metavar="PATH", envvar="CONVEYOR_CONFIG", help="The configuration file (TOML).")
]
Nats = Annotated[str, typer.Option("--nats", metavar="URL", help="The bus; default: [nats] url of the configuration.")]


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"conveyor {version('conveyor-cli')}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
]


def build() -> typer.Typer:
    """Return the command line."""
    app = typer.Typer(
        name="conveyor",
        help="Carries issues of a Plane project through coding agents to merged code on Gitea, over NATS.",
        epilog=EPILOG,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_begin)
    for room in (
        configuring,
        webhooks,
        doctor_command,
        up_command,
        demo_command,
        looking,
        speaking,
        reading,
        burying,
        reconciling,
        releasing,
        spending,
        pipelines,
    ):
        room.add_to(app)
    return app


def _begin(config: Config = DEFAULT_CONFIG, nats_url: Nats = "", _version: Version = False) -> None:
    session.begin(session.Session(Outside(tracker=_tracker, forge=_forge, formats=tuple(FORMATS)), config, nats_url))


def _tracker(plane: PlaneSettings) -> Tracker:
    return PlaneTracker(plane.url, plane.workspace, plane.api_key.reveal())


def _forge(gitea: GiteaSettings) -> Forge:
    return GiteaForge(gitea.url, gitea.token.reveal())
