"""`conveyor reconcile`: one pass of the reconciler from here, or only what it would publish."""

from datetime import datetime
from typing import Annotated

import typer
from msgspec import Struct

from conveyor.cli import session
from conveyor.cli.exits import Exit
from conveyor.cli.operate.options import AsJson
from conveyor.cli.show.jsons import printed
from conveyor.contracts import subjects
from conveyor.contracts.events import AnyEvent
from conveyor.reconciler.app import compose
from conveyor.reconciler.handlers import Reconciler, Report
from conveyor.reconciler.settings import Settings
from conveyor.servicekit import logs
from conveyor.servicekit.lifecycle import Service
from conveyor.servicekit.sections import LogSettings
from conveyor.servicekit.settings import load

DryRun = Annotated[bool, typer.Option("--dry-run", help="Publish nothing, print what would be.")]


class Missing(Struct, frozen=True, kw_only=True):
    """One fact that no webhook told."""

    at: datetime
    project: str
    key: str
    kind: str
    source: str
    event: AnyEvent
    """As it is published."""


class Pass(Struct, frozen=True, kw_only=True):
    """What `conveyor reconcile --json` prints."""

    is_dry: bool
    listed: int
    """Issues read from the tracker's lists."""
    looked: int
    """Issues and tasks that needed a closer look."""
    failed: int
    """Projects, issues and tasks that could not be looked at; the log on stderr says why."""
    repaired: int
    """Of the missing, how many were published now and not known yet; 0 of a dry run."""
    missing: tuple[Missing, ...]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(reconcile)


def reconcile(dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Look once whether a webhook was lost and publish what it would have told. --dry-run: print it only."""
    session.run(_reconcile(is_dry=dry_run, as_json=as_json))


async def _reconcile(*, is_dry: bool, as_json: bool) -> Exit:
    here = session.current()
    logs.configure(LogSettings(format="pretty", level="warning"), "reconcile")  # why something could not be looked at
    settings = load(Settings, here.config)
    service = Service("reconcile", config_path=here.config)
    async with here.bus() as bus, service.resources:
        world = await compose(service, settings, bus)
        made = seen(await Reconciler(world, settings.reconciler, is_dry=is_dry).run_pass(), is_dry=is_dry)
    typer.echo(printed(made) if as_json else "\n".join(lines(made)))
    return Exit.FAILED if made.failed else Exit.OK


def seen(report: Report, *, is_dry: bool) -> Pass:
    """Return a pass as it is shown."""
    return Pass(
        is_dry=is_dry,
        listed=report.listed,
        looked=report.looked,
        failed=report.failed,
        repaired=report.repaired,
        missing=tuple(
            Missing(
                at=event.at,
                project=event.project,
                key=event.key,
                kind=subjects.kind(type(event)),
                source=event.source,
                event=event,
            )
            for event in sorted(report.found, key=lambda event: event.at)
        ),
    )


def lines(made: Pass) -> list[str]:
    """Return what a person reads: a fact a line, then the counts."""
    facts = [f"{one.at.astimezone():%Y-%m-%d %H:%M:%S}  {one.key}  {one.kind}  ({one.source})" for one in made.missing]
    what = "would be published" if made.is_dry else f"missing, {made.repaired} of them published now"
    return [*facts, f"{len(facts)} {what}; {made.looked} looked at, {made.failed} could not be looked at"]
