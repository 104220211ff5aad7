"""`conveyor up`: everything in one terminal from one configuration file, until Ctrl-C."""

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import typer

from conveyor.cli import session
from conveyor.cli.exits import Exit
from conveyor.cli.operate.options import AsJson
from conveyor.cli.up.child import Sink
from conveyor.cli.up.output import to_terminal
from conveyor.cli.up.plan import Member, Plan, plan
from conveyor.cli.up.ports import Ports
from conveyor.cli.up.readiness import wait_ready
from conveyor.cli.up.tree import Tree, running

READY_S = 60.0


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(up)


def up(as_json: AsJson = False) -> None:
    """Run nats-server and the four services in one terminal, until Ctrl-C (twice: at once). --json: ready as JSON."""
    session.run(_up(as_json=as_json), is_endless=True)


async def _up(*, as_json: bool) -> Exit:
    is_terminal = sys.stderr.isatty()
    with Ports() as ports:
        planned = plan(session.current().config, ports, is_pretty=is_terminal)
        return await _run(planned, to_terminal(colored=is_terminal), as_json=as_json)


async def _run(planned: Plan, sink: Sink, *, as_json: bool) -> Exit:
    async with running(planned, sink, tell) as tree:
        with interrupts(tree) as interrupted:
            ready = asyncio.create_task(_announce(planned, as_json=as_json))
            ends: set[asyncio.Future[Any]] = {tree.ended, interrupted}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            ready.cancel()
            if tree.ended.done():
                tell(tree.ended.result().reason)
            else:
                tell("stopping: services drain, then nats-server ends")
            await tree.stop()
    return tree.ended.result().code if tree.ended.done() else Exit.OK


async def _announce(planned: Plan, *, as_json: bool) -> None:
    left = await wait_ready(planned.members, READY_S)
    for name, reason in left.items():
        tell(f"{name} is not ready after {READY_S:g} s: {reason}")
    if not left:
        typer.echo(ready_line(planned, as_json=as_json))
        sys.stdout.flush()


def ready_line(planned: Plan, *, as_json: bool) -> str:
    """Return where everything answers, in one line."""
    nats = bus_url(planned)
    if as_json:
        return msgspec.json.encode({"nats": nats, **{member.name: member.url for member in planned.members}}).decode()
    return f"conveyor is ready: nats {nats}  " + "  ".join(f"{one.name} {one.url}" for one in planned.members)


def bus_url(planned: Plan) -> str:
    """Return where the bus is."""
    member: Member = planned.members[0]
    return member.environment["CONVEYOR_NATS__URL"]


def tell(text: str) -> None:
    """Say something of our own beside the services' lines."""
    typer.echo(f"conveyor: {text}", err=True)


@contextmanager
def interrupts(tree: Tree) -> Iterator[asyncio.Future[None]]:
    """Yield what is done at the first SIGINT or SIGTERM; a second one kills the services at once."""
    loop = asyncio.get_running_loop()
    interrupted: asyncio.Future[None] = loop.create_future()

    def signalled() -> None:
        if interrupted.done():
            tree.kill()
        else:
            interrupted.set_result(None)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signalled)
    try:
        yield interrupted
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
