"""`conveyor dead list|replay`: messages nobody could process, and giving them another chance."""

from datetime import datetime
from typing import Annotated

import typer
from msgspec import Struct
from rich.table import Table

from conveyor.cli import session
from conveyor.cli.operate.options import AsJson
from conveyor.cli.show.ages import age
from conveyor.cli.show.jsons import printed
from conveyor.cli.show.terminal import terminal
from conveyor.servicekit.bus import DeadLetter, DeadLetters
from conveyor.servicekit.clock import SYSTEM_CLOCK

dead_app = typer.Typer(no_args_is_help=True, help="Messages nobody could process.")
Seq = Annotated[
    int, typer.Argument(metavar="SEQ", help="The number that `dead list` shows.", min=1, show_default=False)
]


class Letter(Struct, frozen=True, kw_only=True):
    """One dead letter as `--json` prints it."""

    seq: int
    at: datetime
    stream: str
    stream_seq: int
    subject: str
    consumer: str
    deliveries: int
    error: str
    body: str


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(dead_app, name="dead")


@dead_app.command("list")
def list_them(as_json: AsJson = False) -> None:
    """List them, oldest first, each with the error."""
    session.run(_list(as_json=as_json))


async def _list(*, as_json: bool) -> None:
    async with session.current().bus() as bus:
        letters = await DeadLetters(bus).list()
    if as_json:
        typer.echo(printed([_letter(letter) for letter in letters]))
        return
    if not letters:
        typer.echo("There is none.")
        return
    table = Table("SEQ", "AGE", "SUBJECT", "GIVEN UP BY", "ERROR", box=None, pad_edge=False, header_style="bold")
    now = SYSTEM_CLOCK.now()
    for letter in letters:
        who = f"{letter.consumer} after {letter.deliveries}"
        table.add_row(str(letter.seq), age(letter.at, now), letter.subject, who, letter.error)
    terminal().print(table)


def _letter(letter: DeadLetter) -> Letter:
    return Letter(
        seq=letter.seq,
        at=letter.at,
        stream=letter.stream,
        stream_seq=letter.stream_seq,
        subject=letter.subject,
        consumer=letter.consumer,
        deliveries=letter.deliveries,
        error=letter.error,
        body=letter.body.decode("utf-8", "replace"),
    )


@dead_app.command()
def replay(seq: Seq, as_json: AsJson = False) -> None:
    """Put one on its own subject again, as new, and take it off the list."""
    session.run(_replay(seq, as_json=as_json))


async def _replay(seq: int, *, as_json: bool) -> None:
    async with session.current().bus() as bus:
        stored = await DeadLetters(bus).replay(seq)
    typer.echo(printed({"replayed": seq, "stored_as": stored}) if as_json else f"{seq} is replayed as {stored}.")
