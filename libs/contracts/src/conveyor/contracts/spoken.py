"""What people write that we act on: `Depends-on:` lines in a description, verdicts at the start of a comment,
the status that starts a task.

Gateway and reconciler read the same words, one from webhooks, the other from the tracker.
"""

import re
from collections.abc import Sequence

from conveyor.contracts.events import VerdictValue
from conveyor.contracts.ids import is_key
from conveyor.contracts.observed import TrackerState
from conveyor.contracts.project import Project

_DEPENDS_ON = re.compile(r"^[ \t]*depends[- ]on[ \t]*:[ \t]*(.+)$", re.IGNORECASE | re.MULTILINE)
_KEY_GAP = re.compile(r"[\s,;]+")
_VERDICT = re.compile(r"\s*:(approved|rejected):(.*)", re.IGNORECASE | re.DOTALL)


def dependencies(description: str) -> tuple[str, ...]:
    """Return the keys on `Depends-on: ET-1, ET-2` lines, each once, in their order; what is no key is passed over."""
    words = (word.upper() for line in _DEPENDS_ON.findall(description) for word in _KEY_GAP.split(line))
    return tuple(dict.fromkeys(word for word in words if is_key(word)))


def verdict(comment: str) -> tuple[VerdictValue, str] | None:
    """Return the verdict a comment opens with and the reason that follows it; None when it opens with none.

    Only at the very start: a verdict that is quoted or talked about is none.
    """
    match = _VERDICT.match(comment)
    if match is None:
        return None
    return VerdictValue(match.group(1).lower()), match.group(2).strip()


def start_state_id(project: Project, states: Sequence[TrackerState]) -> str:
    """Return the state that starts a task: the first start status this project has (SE-5); empty when it has none."""
    for name in map(str.casefold, project.start_statuses):
        for state in states:
            if state.name.casefold() == name:
                return state.state_id
    return ""
