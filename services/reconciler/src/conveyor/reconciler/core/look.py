"""What the reconciler saw of one project, and which of its issues are worth a closer look."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from conveyor.contracts.observed import LONG_AGO, StateChange, TrackerComment, TrackerIssue, TrackerState
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
    since: datetime | None = None
    """What changed before was looked at by an earlier pass; None when nothing was."""
    owed: frozenset[str] = frozenset()
    """Ids of issues that an earlier pass could not look at."""
    hears_comments: bool = True
    """Whether comments are read for verdicts and answers."""


class Sighting(Struct, frozen=True, kw_only=True):
    """An issue, and what was read beside it."""

    issue: TrackerIssue
    move: StateChange | None = None
    """Its latest move; None when it was never moved, or when that is of no interest."""
    comments: tuple[TrackerComment, ...] = ()
    """Oldest first; empty too when they were not asked for."""
    blockers: tuple[str, ...] | None = None
    """The keys of the issues that block it; None when they were not asked for."""


class Wants(Struct, frozen=True, kw_only=True):
    """What has to be read of one issue before anything can be said; each is a call."""

    move: bool = False
    comments: bool = False
    blockers: bool = False

    @property
    def anything(self) -> bool:
        """Whether the issue needs a closer look at all."""
        return self.move or self.comments or self.blockers


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


def wants(view: Pass, issue: TrackerIssue) -> Wants:
    """Return what to read of an issue: nothing of one that is in sync or too young, and nothing twice.

    Comments and relations leave no trace but the issue's `updated_at`; its status stands in the list itself.
    """
    if is_young(view, issue):
        return Wants()
    task = view.tasks.get(issue.key)
    is_open = task is not None and not task.is_over
    is_changed = _is_changed(view, issue)
    return Wants(
        move=is_suspect(view, issue),
        comments=is_open and is_changed and view.hears_comments and task is not None and task.waiting in HEARS_VERDICTS,
        blockers=is_open and is_changed,
    )


def _is_changed(view: Pass, issue: TrackerIssue) -> bool:
    """Whether no earlier pass has seen the issue as it is now; of one without a time nobody knows."""
    if view.since is None or issue.issue_id in view.owed:
        return True
    return issue.updated_at >= view.since or issue.updated_at == LONG_AGO


def is_young(view: Pass, issue: TrackerIssue) -> bool:
    """Whether a webhook may still be on its way, by the issue's own time (RC-2)."""
    return view.now - issue.updated_at < timedelta(seconds=view.grace_s)


def heard_until(task: Task) -> datetime:
    """Return the latest time whose human acts this task has consumed or outgrown (SE-7)."""
    times = (task.entered_at, task.last_human_at, task.delivered_at, task.ended_at)
    return max(at for at in times if at is not None)


def is_suspect(view: Pass, issue: TrackerIssue) -> bool:
    """Whether the task does not show what the issue's status asks for; costs nothing, so it is asked first (RC-5)."""
    if is_young(view, issue):
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
