"""`conveyor status` and `conveyor task show`: how everything stands, and what happened to one task and why."""

from typing import Annotated

import msgspec
import typer

from conveyor.cli import session
from conveyor.cli.operate.options import AsJson, KeyArgument
from conveyor.cli.show import status as overviews
from conveyor.cli.show.header import header
from conveyor.cli.show.jsons import printed
from conveyor.cli.show.last_pass import line as line_of_pass
from conveyor.cli.show.terminal import terminal
from conveyor.cli.show.timeline import Entry, entries, lines
from conveyor.contracts import streams
from conveyor.contracts.events import AnyEvent
from conveyor.contracts.merge_queue import positions
from conveyor.contracts.task import Task
from conveyor.reconciler.last_pass import last_pass
from conveyor.servicekit.bus import Bucket, Bus, EventLog, TaskStore
from conveyor.servicekit.clock import SYSTEM_CLOCK
from conveyor.stage_engine.core.decide import decide

task_app = typer.Typer(no_args_is_help=True, help="One task in detail.")

All = Annotated[bool, typer.Option("--all", help="List tasks that are done or cancelled as well.")]
ProjectOption = Annotated[str, typer.Option("--project", metavar="NAME", help="Only this project's tasks.")]


class Shown(msgspec.Struct, frozen=True):
    """What `conveyor task show --json` prints."""

    task: Task
    timeline: tuple[Entry, ...]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(status)
    app.add_typer(task_app, name="task")


def status(project: ProjectOption = "", with_ended: All = False, as_json: AsJson = False) -> None:
    """Show where every task stands, what it waits for, its run, pull request and cost; the queue and the runners."""
    session.run(_status(project, with_ended=with_ended, as_json=as_json))


async def _status(project: str, *, with_ended: bool, as_json: bool) -> None:
    async with session.current().bus() as bus:
        known = [found.record.task for found in await TaskStore(bus).all()]
        runners = sorted(await Bucket(bus, streams.RUNNERS).keys())
        swept = await last_pass(Bucket(bus, streams.RECONCILER))
    shown = [task for task in known if task.project == (project or task.project)]
    places = positions(known, session.current().repository_of)
    seen = overviews.overview(shown, runners, with_ended=with_ended, places=places)
    seen = msgspec.structs.replace(seen, last_pass=swept)
    if as_json:
        typer.echo(printed(seen))
        return
    console = terminal()
    if seen.tasks:
        console.print(overviews.table(seen, SYSTEM_CLOCK.now()))
    console.print(overviews.footer(seen, with_ended=with_ended), style="dim", soft_wrap=True)
    console.print(line_of_pass(seen.last_pass, SYSTEM_CLOCK.now()), style="dim", soft_wrap=True)


@task_app.command()
def show(key: KeyArgument, as_json: AsJson = False) -> None:
    """Show where a task stands and its causal timeline: event, decision, commands, what came of them."""
    session.run(_show(key, as_json=as_json))


async def _show(key: str, *, as_json: bool) -> None:
    here = session.current()
    async with here.bus() as bus:
        task = (await here.task(bus, key)).record.task
        told = await timeline_of(bus, here, task)
    if as_json:
        typer.echo(printed(Shown(task, told)))
        return
    console = terminal(soft_wrap=True)
    for name, value in header(task, SYSTEM_CLOCK.now()):
        console.print(f"{name:>12}  ", end="", style="dim")
        console.print(value)
    console.print()
    for line in lines(told):
        console.print(line)


async def timeline_of(bus: Bus, here: session.Session, task: Task) -> tuple[Entry, ...]:
    """Return a task's causal timeline as it is on the bus now."""
    pipeline = here.pipeline_of(task.project)

    def explain(before: Task | None, event: AnyEvent) -> str:
        return decide(pipeline, before, event).ignored

    events = await EventLog(bus).history(task.project, task.key)
    revisions = await TaskStore(bus).history(task.project, task.key)
    return entries(events, [revision.record for revision in revisions], explain)
