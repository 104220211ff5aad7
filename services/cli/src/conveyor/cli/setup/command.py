"""`conveyor init` and `conveyor config check`: a configuration to begin with, and whether it is good."""

from pathlib import Path
from typing import Annotated

import typer

from conveyor.cli import session
from conveyor.cli.exits import Exit, StopError
from conveyor.cli.operate.options import AsJson
from conveyor.cli.settings import DEFAULT_CONFIG
from conveyor.cli.setup.checked import read
from conveyor.cli.setup.fields import sections
from conveyor.cli.setup.sample import written
from conveyor.cli.show.jsons import printed

config_app = typer.Typer(no_args_is_help=True, help="The configuration file.")
Place = Annotated[Path, typer.Argument(metavar="[PATH]", help="The file to write, or a folder for conveyor.toml.")]
File = Annotated[
    Path | None,
    typer.Argument(metavar="[FILE]", help="The file to look at; default: --config.", show_default=False),
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(init)
    app.add_typer(config_app, name="config")


def init(place: Place = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Write a configuration with every section and key explained. Asks nothing and overwrites nothing."""
    session.run(_init(place / DEFAULT_CONFIG.name if place.is_dir() else place, as_json=as_json))


async def _init(path: Path, *, as_json: bool) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(written(sections()))
    except FileExistsError as error:
        raise StopError(f"{path}: it is there already and stays as it is; name another file", Exit.USAGE) from error
    except OSError as error:
        raise StopError(f"{path}: cannot write it: {error.strerror}", Exit.USAGE) from error
    if as_json:
        typer.echo(printed({"path": str(path)}))
        return
    typer.echo(f"Wrote {path}. Put your own values where it has examples, secrets into the files it names, then:")
    option = "" if path == DEFAULT_CONFIG else f" --config {path}"
    for command, what in (
        ("config check", "whether the file is good"),
        ("setup webhooks", "registers Gitea's webhooks, tells the steps for Plane's"),
        ("up", "runs everything in this terminal"),
        ("doctor", "checks both ends, in another terminal"),
    ):
        typer.echo(f"  {f'conveyor{option} {command}':<{30 + len(option)}}  {what}")


@config_app.command()
def check(file: File = None, as_json: AsJson = False) -> None:
    """Check whether every service can start with a configuration; asks nobody outside."""
    session.run(_check(file or session.current().config, as_json=as_json))


async def _check(path: Path, *, as_json: bool) -> Exit:
    reading = read(path, session.current().outside.formats)
    if as_json:
        typer.echo(printed({"file": str(path), "faults": reading.faults}))
    elif reading.faults:
        for fault in reading.faults:
            typer.echo(f"conveyor: {fault}", err=True)
    else:
        names = ", ".join(project.name for project in reading.engine.project) if reading.engine else ""
        typer.echo(f"{path}: good for every service; projects: {names}")
    return Exit.USAGE if reading.faults else Exit.OK
