"""`conveyor lease list|release` and `conveyor release`: what may have one owner, taken from one that hangs (SE-17).

A dead owner's lease ends by itself; force is for one that lives and does nothing. It is logged on stderr and announced
where people chat, by a notification on every task that waited for the owner.
"""

from typing import Annotated

import typer
from msgspec import Struct

from conveyor.cli import session
from conveyor.cli.exits import Exit, StopError
from conveyor.cli.operate.options import As, AsJson, KeyArgument
from conveyor.cli.operate.said import speaker
from conveyor.cli.show.jsons import printed
from conveyor.contracts import facts_ids, streams
from conveyor.contracts.commands import Level, Notify
from conveyor.contracts.ids import digest, stamp
from conveyor.contracts.task import Task, Waiting
from conveyor.servicekit import logs
from conveyor.servicekit.bus import Bucket, Bus, CommandQueue, Lease, TaskStore
from conveyor.servicekit.clock import SYSTEM_CLOCK
from conveyor.stage_engine.effects.ownership import lease_name

lease_app = typer.Typer(no_args_is_help=True, help="What may have one owner at a time.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="As `lease list` shows it.", show_default=False)]
Force = Annotated[bool, typer.Option("--force", help="Yes: take it although its owner lives.")]


class Held(Struct, frozen=True, kw_only=True):
    """One lease that somebody holds now."""

    name: str
    owner: str


class Released(Struct, frozen=True, kw_only=True):
    """What a release did."""

    name: str
    owner: str
    """Who held it."""
    by: str
    announced: tuple[str, ...]
    """The tasks whose people are told."""


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(release)
    app.add_typer(lease_app, name="lease")


@lease_app.command("list")
def list_them(as_json: AsJson = False) -> None:
    """List what is held now, and by whom."""
    session.run(_list(as_json=as_json))


async def _list(*, as_json: bool) -> None:
    async with session.current().bus() as bus:
        bucket = Bucket(bus, streams.LEASES)
        held = [Held(name=name, owner=owner) for name in await bucket.keys() if (owner := await _owner(bucket, name))]
    if as_json:
        typer.echo(printed(held))
    else:
        typer.echo("\n".join(f"{one.name}  held by {one.owner}" for one in held) or "Nothing is held.")


@lease_app.command("release")
def release_one(name: Name, force: Force = False, who: As = "", as_json: AsJson = False) -> None:
    """Take a lease from its owner: whoever asks next gets it, the old owner's work is out of date."""
    session.run(_release(name, who, is_forced=force, as_json=as_json))


def release(key: KeyArgument, force: Force = False, who: As = "", as_json: AsJson = False) -> None:
    """Release what a task waits for: its repository, held for a merge or deletion that hangs."""
    session.run(_release_of(key, who, is_forced=force, as_json=as_json))


async def _release_of(key: str, who: str, *, is_forced: bool, as_json: bool) -> None:
    here = session.current()
    project = here.project_of(key)
    if project is None:
        raise StopError(f"no configured project has keys like {key}; `conveyor lease list` shows names", Exit.USAGE)
    async with here.bus() as bus:
        await here.task(bus, key)
    await _release(lease_name(project.repository), who, is_forced=is_forced, as_json=as_json, key=key)


async def _release(name: str, who: str, *, is_forced: bool, as_json: bool, key: str = "") -> None:
    by = speaker(who).name
    async with session.current().bus() as bus:
        bucket = Bucket(bus, streams.LEASES)
        owner = await _owner(bucket, name)
        if not owner:
            raise StopError(f"nobody holds {name}; `conveyor lease list` shows what is held", Exit.FAILED)
        if not is_forced:
            advice = "it ends by itself when that owner is dead; --force takes it all the same"
            raise StopError(f"{name} is held by {owner}: {advice}", Exit.FAILED)
        await Lease(bucket, name, by, ttl_s=1).seize()
        told = await _announce(bus, name, by, key)
    logs.get("lease").error("released by force", lease=name, owner=owner, by=by, announced=told)
    done = Released(name=name, owner=owner, by=by, announced=told)
    typer.echo(printed(done) if as_json else f"{name}: released, was held by {owner}; told: {', '.join(told) or '-'}")


async def _owner(bucket: Bucket, name: str) -> str:
    return await Lease(bucket, name, "", ttl_s=1).holder() or ""


async def _announce(bus: Bus, name: str, by: str, key: str) -> tuple[str, ...]:
    """Let the engine tell people on the tasks that are concerned; return their keys."""
    projects = {one.name for one in session.current().settings.project if lease_name(one.repository) == name}
    known = [found.record.task for found in await TaskStore(bus).all()]
    concerned = concerned_by([task for task in known if task.project in projects], key)
    for task in concerned:
        await CommandQueue(bus).publish(_notice(task, f"{by} released {name} by force: its next owner goes on"))
    return tuple(task.key for task in concerned)


def concerned_by(tasks: list[Task], key: str) -> list[Task]:
    """Return the tasks that wait for an owner, and the one that was named; else the one that moved last.

    An owner may hang over what no task waits for, such as the branch of a task that is done.
    """
    found = [task for task in tasks if task.waiting is Waiting.EFFECT or task.key == key]
    return found or sorted((task for task in tasks if task.since), key=lambda task: str(task.since))[-1:]


def _notice(task: Task, text: str) -> Notify:
    now = SYSTEM_CLOCK.now()
    command_id = digest("operator", "release", task.project, task.key, text, stamp(now))
    return Notify(
        command_id=command_id,
        project=task.project,
        key=task.key,
        revision=task.revision,
        trace_id=facts_ids.trace_id(command_id),
        issued_at=now,
        issue_id=task.issue_id,
        text=text,
        level=Level.WARNING,
    )
