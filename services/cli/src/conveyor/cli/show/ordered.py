"""Commands in a few words, and which event says what came of which command."""

from collections.abc import Iterable

from conveyor.contracts.commands import (
    AnyCommand,
    CancelRun,
    CheckHealth,
    EnsureBranch,
    EvaluateGate,
    Merge,
    Notify,
    PostComment,
    SetStatus,
    StartRun,
)
from conveyor.contracts.events import AnyEvent, EffectFinished, GateEvaluated, RunFinished
from conveyor.contracts.subjects import kind


def ordered(command: AnyCommand) -> str:  # noqa: C901, PLR0911 # one line a command
    """Return what a command asks for."""
    match command:
        case StartRun():
            return f"start run {command.run_id} ({command.role})"
        case CancelRun():
            return f"cancel run {command.run_id}"
        case EvaluateGate():
            return f"evaluate {', '.join(command.checks)}"
        case SetStatus():
            return f"set status {command.status}"
        case PostComment():
            return f"comment: {_first_line(command.text)}"
        case EnsureBranch():
            return f"make branch {command.branch}"
        case Merge():
            return f"merge #{command.pull_request} at {command.head[:10]}"
        case Notify():
            return f"notify ({command.level})"
        case CheckHealth():
            return f"watch health for {command.window_s} s"
        case _:
            return kind(type(command)).replace("_", " ")


def outcomes(events: Iterable[tuple[int, AnyEvent]]) -> dict[str, int]:
    """Return the sequence of the event that answers each run, gate or effect, by the id the command carries."""
    found: dict[str, int] = {}
    for seq, event in events:
        match event:
            case RunFinished():
                found.setdefault(event.run_id, seq)
            case GateEvaluated():
                found.setdefault(event.gate_id, seq)
            case EffectFinished():
                found.setdefault(event.command_id, seq)
            case _:
                pass
    return found


def answer_to(command: AnyCommand, answered: dict[str, int]) -> int:
    """Return the sequence of the event that says what came of this command; 0 while there is none."""
    return answered.get(command.run_id if isinstance(command, StartRun) else command.command_id, 0)


def _first_line(text: str) -> str:
    line = text.strip().partition("\n")[0]
    return line if len(line) <= 60 else line[:59].rstrip() + "…"
