"""What operators say, as events named by content and time: said twice it is two acts, sent twice it is one."""

import getpass
from datetime import datetime
from typing import Any

from conveyor.cli.exits import Exit, StopError
from conveyor.contracts import facts_ids
from conveyor.contracts.events import (
    Actor,
    AnyEvent,
    CommentAdded,
    OperatorActed,
    OperatorAction,
    Origin,
    Role,
    VerdictGiven,
    VerdictValue,
    Via,
)
from conveyor.contracts.ids import digest, stamp
from conveyor.contracts.task import Task

SOURCE = "operator"


def speaker(name: str) -> Actor:
    """Return the operator who acts: the name given, else the user of this machine; StopError when it has no name."""
    chosen = name or _user()
    return Actor(actor_id=f"operator:{chosen}", name=chosen, role=Role.OPERATOR)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:  # in a container, say, whose user is but a number
        raise StopError(
            "this machine has no name for its user: say in whose name with --as NAME", Exit.USAGE
        ) from error


def verdict(task: Task, who: Actor, at: datetime, *, reason: str | None = None) -> AnyEvent:
    """Return an approval, or with a reason a rejection."""
    value = VerdictValue.APPROVED if reason is None else VerdictValue.REJECTED
    said = _carried(task, who, at, (value, reason or ""))
    return VerdictGiven(verdict=value, via=Via.CLI, issue_id=task.issue_id, reason=reason or "", **said)


def answer(task: Task, who: Actor, at: datetime, text: str) -> AnyEvent:
    """Return an answer to the analyst's questions."""
    said = _carried(task, who, at, ("answer", text))
    return CommentAdded(comment_id=said["event_id"], text=text, **said)


def act(task: Task, who: Actor, at: datetime, action: OperatorAction, reason: str) -> AnyEvent:
    """Return a retry or a cancel."""
    return OperatorActed(action=action, reason=reason, **_carried(task, who, at, (action, reason)))


def _carried(task: Task, who: Actor, at: datetime, content: tuple[str, str]) -> dict[str, Any]:
    event_id = digest(SOURCE, who.actor_id, task.project, task.key, *content, stamp(at))
    return {
        "event_id": event_id,
        "project": task.project,
        "key": task.key,
        "at": at,
        "received_at": at,
        "source": SOURCE,
        "origin": Origin.OPERATOR,
        "trace_id": facts_ids.trace_id(event_id),
        "actor": who,
    }
