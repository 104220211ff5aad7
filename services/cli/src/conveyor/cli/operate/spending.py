"""`conveyor spend`: what agents used and cost, by day, project, task, stage, role, agent or run."""

from typing import Annotated

import msgspec
import typer
from rich.table import Table

from conveyor.cli import session
from conveyor.cli.operate.options import AsJson
from conveyor.cli.show.ages import money
from conveyor.cli.show.jsons import printed
from conveyor.cli.show.terminal import terminal
from conveyor.contracts import streams
from conveyor.contracts.outcomes import Usage
from conveyor.contracts.spending import By, Row, Spent, sums, total
from conveyor.servicekit.bus import Bucket

ByOption = Annotated[By, typer.Option("--by", help="What to add up by.")]
ProjectOption = Annotated[str, typer.Option("--project", metavar="NAME", help="Only this project.")]
DayOption = Annotated[
    str, typer.Option("--day", metavar="DAY", help="Only days that begin so: 2026-01-05, 2026-01, 2026 (UTC).")
]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(spend)


def spend(by: ByOption = "day", project: ProjectOption = "", day: DayOption = "", as_json: AsJson = False) -> None:
    """Print tokens and cost, the dearest first; of runs that go on, too."""
    session.run(_spend(by, project, day, as_json=as_json))


async def _spend(by: By, project: str, day: str, *, as_json: bool) -> None:
    async with session.current().bus() as bus:
        entries = await Bucket(bus, streams.SPEND).entries(project)
    wanted = {
        key: msgspec.json.decode(entry.value, type=Spent)
        for key, entry in entries.items()
        if key.split(".", 2)[1].startswith(day)
    }
    rows = sums(wanted, by)
    if as_json:
        typer.echo(printed(list(rows)))
    elif rows:
        terminal().print(_table(by, rows))
    else:
        typer.echo("Nothing was spent.")


def _table(by: By, rows: tuple[Row, ...]) -> Table:
    table = Table(by.upper(), box=None, pad_edge=False, header_style="bold", show_footer=True)
    for name in ("RUNS", "TOKENS IN", "OUT", "COST"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(row.name, str(row.runs), *_told(row.usage))
    feet = ("all", str(sum(row.runs for row in rows)), *_told(total(rows)))
    for column, foot in zip(table.columns, feet, strict=True):
        column.footer = foot
    return table


def _told(used: Usage) -> tuple[str, str, str]:
    return f"{used.input_tokens:,}", f"{used.output_tokens:,}", money(used.cost_usd)
