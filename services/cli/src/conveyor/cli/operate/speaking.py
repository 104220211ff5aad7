"""`conveyor approve|reject|answer|retry|cancel`: an operator speaks, the engine decides, the command tells."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

import typer

from conveyor.cli import session
from conveyor.cli.exits import Exit
from conveyor.cli.operate import said
from conveyor.cli.operate.options import As, AsJson, KeyArgument, NoWait
from conveyor.cli.operate.speak import DEADLINE_S, Answer, Fate, say
from conveyor.cli.show.jsons import printed
from conveyor.contracts.events import Actor, AnyEvent, OperatorAction
from conveyor.contracts.task import Task
from conveyor.servicekit.clock import SYSTEM_CLOCK

Speech = Callable[[Task, Actor, datetime], AnyEvent]
Text = Annotated[str, typer.Argument(metavar="TEXT", help="The answer.", show_default=False)]
Reason = Annotated[str, typer.Option("--reason", help="Why; the agent is told.", show_default=False)]
MaybeReason = Annotated[str, typer.Option("--reason", help="Why; it stands in the task's history.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (approve, reject, answer, retry, cancel):
        app.command()(command)


def approve(key: KeyArgument, name: As = "", no_wait: NoWait = False, as_json: AsJson = False) -> None:
    """Approve the stage a task stands in: its gate is evaluated and the task goes on."""
    session.run(_speak(key, said.verdict, name, _patience(no_wait), as_json))


def reject(key: KeyArgument, reason: Reason, name: As = "", no_wait: NoWait = False, as_json: AsJson = False) -> None:
    """Reject the stage a task stands in: the work is done again, with the reason."""

    def speech(task: Task, who: Actor, at: datetime) -> AnyEvent:
        return said.verdict(task, who, at, reason=reason)

    session.run(_speak(key, speech, name, _patience(no_wait), as_json))


def answer(key: KeyArgument, text: Text, name: As = "", no_wait: NoWait = False, as_json: AsJson = False) -> None:
    """Answer the questions of a task in Needs Input: its agent goes on with the answer."""

    def speech(task: Task, who: Actor, at: datetime) -> AnyEvent:
        return said.answer(task, who, at, text)

    session.run(_speak(key, speech, name, _patience(no_wait), as_json))


def retry(
    key: KeyArgument, reason: MaybeReason = "", name: As = "", no_wait: NoWait = False, as_json: AsJson = False
) -> None:
    """Begin the present stage again: attempts and caps begin anew."""
    session.run(_speak(key, _act(OperatorAction.RETRY, reason), name, _patience(no_wait), as_json))


def cancel(
    key: KeyArgument, reason: MaybeReason = "", name: As = "", no_wait: NoWait = False, as_json: AsJson = False
) -> None:
    """End a task as cancelled: its agent is stopped, its issue is shown as cancelled."""
    session.run(_speak(key, _act(OperatorAction.CANCEL, reason), name, _patience(no_wait), as_json))


def _act(action: OperatorAction, reason: str) -> Speech:
    def speech(task: Task, who: Actor, at: datetime) -> AnyEvent:
        return said.act(task, who, at, action, reason)

    return speech


def _patience(no_wait: bool) -> float:
    return 0.0 if no_wait else DEADLINE_S


async def _speak(key: str, speech: Speech, name: str, wait_s: float, as_json: bool) -> Exit:
    here = session.current()
    async with here.bus() as bus:
        task = (await here.task(bus, key)).record.task
        event = speech(task, said.speaker(name), SYSTEM_CLOCK.now())
        pipeline = here.pipeline_of(task.project)
        came = await say(bus, pipeline, event, wait_s=wait_s)
    typer.echo(printed(came) if as_json else _told(came))
    return Exit.OK if came.fate is Fate.DECIDED or not wait_s else Exit.FAILED


def _told(came: Answer) -> str:
    match came.fate:
        case Fate.DECIDED:
            waits = f", waiting for {came.waiting}" if came.waiting else ""
            return "\n".join([f"{came.key}: {came.stage}{waits}", *(f"  {note}" for note in came.notes)])
        case Fate.IGNORED:
            return f"{came.key}: ignored, nothing changed: {came.reason}"
        case Fate.PENDING:
            return f"{came.key}: stored as event {came.seq}; {came.reason}"
