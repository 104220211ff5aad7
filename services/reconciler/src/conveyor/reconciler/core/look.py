"""What the reconciler saw of one project, and which of its issues are worth a closer look."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from conveyor.contracts.observed import StateChange, TrackerIssue, TrackerState
from conveyor.contracts.project import Project
from conveyor.contracts.spoken import start_state_id
from conveyor.contracts.task import CANCELLED, Task, Waiting

HEARS_VERDICTS = frozenset({Waiting.PERSON, Waiting.FACTS, Waiting.ANSWER})
"""What a task waits for when a person's verdict can move it; an escalated one waits for a person too."""
TERMINAL_GROUPS = frozenset({"completed", "cancelled"})


class Meaning(StrEnum):
    """What an issue's present status asks of us."""

    NOTHING = ""
    START = "start"
    APPROVED = "approved"
    REJECTED = "rejected"
    CLOSED = "closed"


class Pass(Struct, frozen=True, kw_only=True):
    """What one pass knows of one project before it looks at single issues."""

    project: Project
    states: tuple[TrackerState, ...]
    spoken: Mapping[str, str]
    """The ids of the states by which people give verdicts: state id -> `approved` or `rejected`."""
    tasks: Mapping[str, Task]
    """The project's tasks by key."""
    own_user_id: str
    now: datetime
    grace_s: float
    """How long a webhook may take before it counts as lost, in seconds."""


class Sighting(Struct, frozen=True, kw_only=True):
    """An issue and its latest move into its present status; None when it was created there."""

    issue: TrackerIssue
    move: StateChange | None


def meaning(view: Pass, state_id: str) -> Meaning:
    """Return what a status asks of us: the names that people use to speak to us win over the group."""
    state = next((state for state in view.states if state.state_id == state_id), None)
    if state is None:
        return Meaning.NOTHING
    if state_id in view.spoken:
        return Meaning(view.spoken[state_id])
    if state_id == start_state_id(view.project, view.states):
        return Meaning.START
    return Meaning.CLOSED if state.group in TERMINAL_GROUPS else Meaning.NOTHING


def is_suspect(view: Pass, issue: TrackerIssue) -> bool:
    """Whether the task does not show what the issue's status asks for; costs nothing, so it is asked first (RC-5)."""
    if view.now - issue.updated_at < timedelta(seconds=view.grace_s):
        return False
    task = view.tasks.get(issue.key)
    match meaning(view, issue.state_id):
        case Meaning.START:
            return task is None or task.stage == CANCELLED or task.waiting is Waiting.ANSWER
        case Meaning.APPROVED | Meaning.REJECTED:
            return task is not None and not task.is_over and task.waiting in HEARS_VERDICTS
        case Meaning.CLOSED:
            return task is not None and not task.is_over
        case Meaning.NOTHING:
            return False
