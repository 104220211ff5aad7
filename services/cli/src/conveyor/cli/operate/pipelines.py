"""`conveyor pipeline graph|check`: what a pipeline looks like, and whether it can run. Needs no bus."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from conveyor.cli import session
from conveyor.cli.exits import Exit, StopError
from conveyor.cli.operate.options import AsJson
from conveyor.cli.show.graph import as_mermaid, as_text
from conveyor.cli.show.jsons import printed
from conveyor.contracts.pipelines import pipeline_from
from conveyor.servicekit.sections import pipelines_of

pipeline_app = typer.Typer(no_args_is_help=True, help="Pipelines as data.")


class Form(StrEnum):
    """How a graph is printed."""

    TEXT = "text"
    MERMAID = "mermaid"


Name = Annotated[str, typer.Option("--pipeline", metavar="NAME", help="Which of the configured pipelines.")]
As = Annotated[Form, typer.Option("--format", help="As text, or as a mermaid diagram.")]
File = Annotated[Path, typer.Argument(metavar="FILE", help="The pipeline's TOML file.", show_default=False)]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(pipeline_app, name="pipeline")


@pipeline_app.command()
def graph(name: Name = "default", form: As = Form.TEXT, as_json: AsJson = False) -> None:
    """Show a pipeline: its stages, gates, ways back and caps."""
    session.run(_graph(name, form, as_json=as_json))


async def _graph(name: str, form: Form, *, as_json: bool) -> None:
    here = session.current()
    known = pipelines_of(here.settings.pipelines, here.config)
    if name not in known:
        raise StopError(f"no pipeline is called {name!r}; known: {', '.join(sorted(known))}", Exit.USAGE)
    drawn = as_text(known[name]) if form is Form.TEXT else as_mermaid(known[name])
    typer.echo(printed(known[name]) if as_json else "\n".join(drawn))


@pipeline_app.command()
def check(file: File, as_json: AsJson = False) -> None:
    """Check whether a pipeline can run: its shape, its checks by name, no dead end, every loop capped."""
    session.run(_check(file, as_json=as_json))


async def _check(file: Path, *, as_json: bool) -> None:
    pipeline = pipeline_from(file)
    stages = [stage.name for stage in pipeline.stages]
    told = f"{file}: pipeline {pipeline.name!r} can run: {' → '.join(stages)}"
    typer.echo(printed({"file": str(file), "pipeline": pipeline.name, "stages": stages}) if as_json else told)
