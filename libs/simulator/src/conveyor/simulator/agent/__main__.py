"""The scripted agent's command: reads a prompt on stdin to its end, does what the script says, prints like an agent.

Unknown arguments are ignored, so that it can stand where a real agent's command line stands.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from conveyor.simulator.agent import mischief, villainy
from conveyor.simulator.agent.order import (
    Behaviour,
    Order,
    ScriptError,
    choose_behaviour,
    read_order,
    real_environment,
)
from conveyor.simulator.agent.speech import Speech
from conveyor.simulator.agent.work import BAD, agree, object_to

VERSION = "1.0.0"
Act = Callable[[Order, Behaviour, Speech], int]


def succeed(order: Order, behaviour: Behaviour, speech: Speech) -> int:
    """Do the role's work well."""
    speech.say(f"I am the {order.role} of {order.task_key}, run {order.run_id}.")
    agree(order, behaviour, speech)
    speech.result(behaviour.text("text", f"{order.role} is done."))
    return 0


def ask(order: Order, behaviour: Behaviour, speech: Speech) -> int:
    """Ask a question; with the answer in the prompt go on (unless `always`)."""
    if order.answered and not behaviour.options.get("always"):
        return succeed(order, behaviour, speech)
    return reject(order, behaviour, speech)


def reject(order: Order, behaviour: Behaviour, speech: Speech) -> int:
    """Say no in the way of the role; a role that cannot say no fails."""
    if order.role not in BAD:
        return mischief.fail(order, behaviour, speech)
    object_to(order, behaviour, speech)
    speech.result(behaviour.text("text", f"{order.role} objects."))
    return 0


ACTS: dict[str, Act] = {
    "succeed": succeed,
    "ask": ask,
    "reject": reject,
    "conflict": reject,
    "fail": mischief.fail,
    "crash": mischief.crash,
    "hang": mischief.hang,
    "stubborn": mischief.stubborn,
    "linger": mischief.linger,
    "babble": mischief.babble,
    "orphan": mischief.orphan,
    "rate_limit": mischief.rate_limit,
    "overload": mischief.overload,
    "lie": mischief.lie,
    "foreign_result": mischief.foreign_result,
    "garble": mischief.garble,
    "mute": mischief.mute,
    "fork_bomb": villainy.fork_bomb,
    "hog": villainy.hog,
    "glut": villainy.glut,
    "unplug": villainy.unplug,
    "binary": villainy.binary,
    "vandal": villainy.vandal,
    "nothing": villainy.nothing,
    "server": villainy.server,
}


def main(arguments: list[str] | None = None) -> int:
    """Run once and return the exit code: 0 done, 1 failed, 2 for a script that cannot be used."""
    chosen, _ignored = _parser().parse_known_args(arguments)
    if chosen.version:
        sys.stdout.write(f"{VERSION} (Conveyor scripted agent)\n")
        return 0
    order = read_order(_overridden(real_environment(), chosen), sys.stdin.read(), Path.cwd())
    speech = Speech(chosen.format, chosen.session_id or chosen.resume)
    try:
        behaviour = choose_behaviour(order)
        act = _act(order, behaviour)
    except ScriptError as failure:
        sys.stderr.write(f"scripted agent: {failure}\n")
        return 2
    speech.init(str(order.cwd))
    time.sleep(behaviour.number("delay_s", 0))
    return act(order, behaviour, speech)


def _act(order: Order, behaviour: Behaviour) -> Act:
    if behaviour.name not in ACTS:
        raise ScriptError(f"{order.role}: `{behaviour.name}` is none of {', '.join(ACTS)}")
    return ACTS[behaviour.name]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="conveyor-scripted-agent", description=__doc__, allow_abbrev=False)
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parser.add_argument("--script", default="", help="TOML or JSON: role -> behaviours (or CONVEYOR_AGENT_SCRIPT)")
    parser.add_argument("--state", default="", help="folder that counts runs (or CONVEYOR_AGENT_STATE)")
    parser.add_argument("--role", default="", help="role to play (or CONVEYOR_ROLE)")
    parser.add_argument("--session-id", default="", help="session id to report")
    parser.add_argument("--resume", default="", help="session id to continue")
    choices = ("stream-json", "text")
    parser.add_argument("--format", "--output-format", default="stream-json", choices=choices, help="what to print")
    return parser


def _overridden(environment: Mapping[str, str], chosen: argparse.Namespace) -> dict[str, str]:
    given = {
        "CONVEYOR_AGENT_SCRIPT": chosen.script,
        "CONVEYOR_AGENT_STATE": chosen.state,
        "CONVEYOR_ROLE": chosen.role,
    }
    return dict(environment) | {name: value for name, value in given.items() if value}


if __name__ == "__main__":
    sys.exit(main())
