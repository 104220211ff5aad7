"""`conveyor doctor`: looks, shows what it found, and fails when anything failed."""

from typing import Annotated

import typer

from conveyor.cli import session
from conveyor.cli.doctor.examination import examine
from conveyor.cli.doctor.finding import diagnosis
from conveyor.cli.exits import Exit
from conveyor.cli.operate.options import AsJson
from conveyor.cli.setup.checked import read
from conveyor.cli.show.findings import lines
from conveyor.cli.show.jsons import printed
from conveyor.cli.show.terminal import terminal
from conveyor.contracts.errors import SettingsError
from conveyor.servicekit.sections import NatsSettings

HERE = frozenset({"agents", "sandbox", "disk"})
"""The areas that are about the machine the doctor runs on."""
Elsewhere = Annotated[
    bool,
    typer.Option(
        "--elsewhere",
        envvar="CONVEYOR_ELSEWHERE",
        help="The services run elsewhere: leave out agents, sandbox and disk, which would be those of this machine.",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(doctor)


def doctor(as_json: AsJson = False, is_elsewhere: Elsewhere = False) -> None:
    """Check configuration, bus, tracker, forge, webhooks, clocks, agents, sandbox and disk, and say what to do.

    Changes nothing: it sends the gateway deliveries of a kind that is ignored, and lets the forge send its test.
    """
    session.run(_doctor(as_json=as_json, without=HERE if is_elsewhere else frozenset()))


async def _doctor(*, as_json: bool, without: frozenset[str]) -> Exit:
    here = session.current()
    seen = await examine(read(here.config, here.outside.formats), _nats(here), here.outside)
    found = diagnosis(tuple(finding for finding in seen if finding.area not in without))
    if as_json:
        typer.echo(printed(found))
    else:
        console = terminal(soft_wrap=True)
        for line in lines(found):
            console.print(line)
    return Exit.FAILED if found.failed else Exit.OK


def _nats(here: session.Session) -> NatsSettings:
    try:
        return here.nats
    except SettingsError:
        return NatsSettings()
