"""What the tracker shows and the tasks do not: the events that a lost webhook owed us (RC-2)."""

from collections.abc import Iterable
from typing import Any

from conveyor.contracts import facts_ids
from conveyor.contracts.events import (
    Actor,
    AnyEvent,
    CloseKind,
    IssueClosed,
    IssueStarted,
    VerdictGiven,
    VerdictValue,
    Via,
)
from conveyor.contracts.observed import StateChange
from conveyor.contracts.spoken import dependencies
from conveyor.contracts.task import Task
from conveyor.reconciler.core.carried import carried
from conveyor.reconciler.core.look import Meaning, Pass, Sighting, heard_until, is_suspect, is_young, meaning
from conveyor.reconciler.core.text import missed_comments, missed_edit


def diff(view: Pass, sightings: Iterable[Sighting]) -> tuple[AnyEvent, ...]:
    """Return the events to publish again, in the order they happened; none when tracker and tasks agree.

    A move of our own account asks nothing of us, and neither does one that the task has already heard, or that was
    made before the task came to where it stands (SE-7).
    """
    found = [event for seen in sightings if not is_young(view, seen.issue) for event in _missed(view, seen)]
    return tuple(sorted(found, key=lambda event: event.at))


def _missed(view: Pass, seen: Sighting) -> list[AnyEvent]:
    events: list[AnyEvent] = list(missed_comments(view, seen))
    if edit := missed_edit(view, seen):
        events.append(edit)
    if is_suspect(view, seen.issue) and _is_news(view, seen) and (moved := _moved(view, seen)):
        events.append(moved)
    return events


def _moved(view: Pass, seen: Sighting) -> AnyEvent | None:
    match meaning(view, seen.issue.state_id):
        case Meaning.START:
            return _start(view, seen)
        case Meaning.APPROVED:
            return _verdict(view, seen, VerdictValue.APPROVED)
        case Meaning.REJECTED:
            return _verdict(view, seen, VerdictValue.REJECTED)
        case Meaning.CLOSED:
            return IssueClosed(how=_how(view, seen), **_carried(view, seen))
        case Meaning.NOTHING:
            return None


def _is_news(view: Pass, seen: Sighting) -> bool:
    move, task = _move_here(seen), view.tasks.get(seen.issue.key)
    if move is None:
        return _is_news_by_itself(view, seen, task)
    if move.actor_id == view.own_user_id:
        return False
    return task is None or move.at > heard_until(task)


def _is_news_by_itself(view: Pass, seen: Sighting, task: Task | None) -> bool:
    """Nobody is known to have moved it: a start is one that was created there; an end is one, whoever made it."""
    if task is None:
        return seen.move is None
    return meaning(view, seen.issue.state_id) is Meaning.CLOSED and seen.issue.updated_at > heard_until(task)


def _move_here(seen: Sighting) -> StateChange | None:
    return seen.move if seen.move and seen.move.state_id == seen.issue.state_id else None


def _start(view: Pass, seen: Sighting) -> IssueStarted:
    issue = seen.issue
    return IssueStarted(
        issue_id=issue.issue_id,
        title=issue.title,
        depends_on=dependencies(issue.description),
        **_carried(view, seen),
    )


def _verdict(view: Pass, seen: Sighting, value: VerdictValue) -> VerdictGiven:
    return VerdictGiven(verdict=value, via=Via.STATUS, issue_id=seen.issue.issue_id, **_carried(view, seen))


def _how(view: Pass, seen: Sighting) -> CloseKind:
    group = next(state.group for state in view.states if state.state_id == seen.issue.state_id)
    return CloseKind(group)


def _carried(view: Pass, seen: Sighting) -> dict[str, Any]:
    """The move names the fact; without one, when the issue was created there, or last changed where it has a task."""
    issue, move = seen.issue, _move_here(seen)
    by_itself = issue.updated_at if issue.key in view.tasks else issue.created_at
    at = move.at if move else by_itself
    name = facts_ids.issue_moved(issue.issue_id, issue.state_id, at)
    actor = Actor(actor_id=move.actor_id) if move else None
    return {**carried(view, issue.key, name, at), "actor": actor}
