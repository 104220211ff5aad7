"""Logical status keys and what projects call them: a pure table, resolved within one project's own states (SE-13)."""

import functools
import re
from collections.abc import Sequence
from typing import NamedTuple

from conveyor.contracts.observed import TrackerState

_GAP = re.compile(r"[\s_-]+")
_TERMINAL_GROUPS = frozenset({"completed", "cancelled"})


class Status(NamedTuple):
    """The names a status may have, the key it degrades to, and, for a base key, the group that stands for it."""

    names: tuple[str, ...]
    base: str = ""
    group: str = ""


STATUSES: dict[str, Status] = {
    "backlog": Status(("Backlog",), group="backlog"),
    "todo": Status(("Todo", "To Do"), group="unstarted"),
    "in_progress": Status(("In Progress",), group="started"),
    "done": Status(("Done", "Completed"), group="completed"),
    "cancelled": Status(("Cancelled", "Canceled"), group="cancelled"),
    "to_analyse": Status(("To Analyse", "To Analyze"), base="in_progress"),
    "analysis": Status(("Analysis", "In Analysis"), base="in_progress"),
    "architecture": Status(("Architecture", "In Architecture"), base="in_progress"),
    "development": Status(("Development", "In Development"), base="in_progress"),
    "in_review": Status(("In Review",), base="in_progress"),
    "code_review": Status(("Code Review", "In Code Review"), base="in_review"),
    "testing": Status(("Testing", "In Testing"), base="in_progress"),
    "awaiting_deploy": Status(("Awaiting Deploy", "Ready to Deploy", "Ready for Deploy"), base="in_review"),
    "deploying": Status(("Deploying",), base="in_progress"),
    "monitoring": Status(("Monitoring",), base="in_progress"),
    # These two wait for a person: were they shown as In Progress, a project that starts work by that very status
    # would show a task that asks for help as one that was just started.
    "blocked": Status(("Blocked",), base="todo"),
    "needs_input": Status(("Needs Input",), base="blocked"),
    # A verdict never degrades: another status must not be taken for somebody's word.
    "approved": Status(("Approved",)),
    "rejected": Status(("Rejected",)),
}
"""SE-13 names the keys. A base key falls back to the first state of its group, so a renamed board still works."""


def _plain(name: str) -> str:
    return _GAP.sub(" ", name).strip().casefold()


_KEYS = {_plain(name): key for key, status in STATUSES.items() for name in status.names}


@functools.lru_cache(maxsize=1024)
def key_of(name: str) -> str:
    """Return the logical key of a status by its name, or an empty string for a status that is not ours."""
    return _KEYS.get(_plain(name), "")


def own_state(states: Sequence[TrackerState], key: str) -> TrackerState | None:
    """Return the project's own state of that key, without degrading; the earlier spelling of the table wins."""
    wanted = [_plain(name) for name in STATUSES[key].names] if key in STATUSES else []
    named = {_plain(state.name): state for state in reversed(states)}
    return next((named[name] for name in wanted if name in named), None)


def resolve_state(states: Sequence[TrackerState], key: str) -> TrackerState | None:
    """Return the state that shows a key in this project: its own, else that of a base key, else one of its group.

    None when there is nothing to fall back to, as for a verdict or a key that is not in the table.
    """
    while key in STATUSES:
        if state := own_state(states, key):
            return state
        if group := STATUSES[key].group:
            return next((state for state in states if state.group == group), None)
        key = STATUSES[key].base
    return None


def is_terminal(state: TrackerState) -> bool:
    """Whether an issue in this state has ended: by group and never by id or name (SE-14)."""
    return state.group in _TERMINAL_GROUPS
