"""`conveyor demo`: real NATS, the four services, simulated Plane and Gitea, a scripted agent; one task to done."""

from pathlib import Path
from typing import Annotated

import typer

from conveyor.cli import session
from conveyor.cli.operate.options import AsJson

FOLDER = Path(".conveyor/demo")
Keep = Annotated[bool, typer.Option("--keep", help="Keep everything running at the end, until Ctrl-C.")]
Folder = Annotated[Path, typer.Option("--folder", help="Where the demo's files go, in a fresh folder each time.")]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(demo)


def demo(is_kept: Keep = False, folder: Folder = FOLDER, as_json: AsJson = False) -> None:
    """Carry one task from To Analyse to done on this machine, with a question, a rollback and a lost webhook."""
    from conveyor.cli.demo.performance import perform  # noqa: PLC0415 - the simulators cost half a second to import

    session.run(perform(folder, is_kept=is_kept, as_json=as_json))
