"""`conveyor logs`: what a task's agents printed, also while they print it."""

import sys
from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
import typer

from conveyor.cli import session
from conveyor.cli.exits import Exit, StopError
from conveyor.cli.operate.options import AsJson, KeyArgument
from conveyor.contracts import streams, subjects
from conveyor.servicekit.bus import Bus, Message, Start, follow, scan

Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")]
RunOption = Annotated[str, typer.Option("--run", metavar="RUN", help="Only this run's output.")]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(logs)


def logs(key: KeyArgument, run: RunOption = "", is_live: Follow = False, as_json: AsJson = False) -> None:
    """Print what the task's agents printed, run after run. With --json one object a chunk: run, time, text."""
    session.run(_logs(key, run, is_live=is_live, as_json=as_json), is_endless=is_live)


async def _logs(key: str, run: str, *, is_live: bool, as_json: bool) -> None:
    here = session.current()
    async with here.bus() as bus:
        project = (await here.task(bus, key)).record.task.project
        subject = subjects.log(project, key, run) if run else subjects.logs_of(project, key)
        show = _as_json if as_json else _AsText(with_heads=not run)
        is_empty = True
        async for message in _messages(bus, subject, is_live=is_live):
            is_empty = False
            show(message)
        if is_empty:
            raise StopError(f"there is no output of {run or key}", Exit.FAILED)


def _messages(bus: Bus, subject: str, *, is_live: bool) -> AsyncIterator[Message]:
    if is_live:
        return follow(bus, streams.LOGS.name, (subject,), start=Start.ALL)
    return scan(bus, streams.LOGS.name, (subject,))


class _AsText:
    """Prints chunks as they are, with a line at each run's beginning."""

    def __init__(self, *, with_heads: bool) -> None:
        self._with_heads = with_heads
        self._run = ""

    def __call__(self, message: Message) -> None:
        run = _run_of(message)
        if self._with_heads and run != self._run:
            typer.echo(f"--- {run} {message.at.astimezone():%Y-%m-%d %H:%M:%S}")
            self._run = run
        sys.stdout.buffer.write(message.body)
        sys.stdout.buffer.flush()


def _as_json(message: Message) -> None:
    chunk = {"run_id": _run_of(message), "at": message.at, "text": message.body.decode("utf-8", "replace")}
    typer.echo(msgspec.json.encode(chunk).decode())


def _run_of(message: Message) -> str:
    return message.subject.rpartition(".")[2]
