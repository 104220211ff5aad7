"""What people wrote that a task has not heard: comments, a new title, other dependencies (RC-2, RC-11)."""

from collections.abc import Iterator

from conveyor.contracts import facts_ids
from conveyor.contracts.events import Actor, CommentAdded, IssueChanged, VerdictGiven, Via
from conveyor.contracts.observed import TrackerComment
from conveyor.contracts.spoken import dependencies, verdict
from conveyor.contracts.task import Task, Waiting
from conveyor.reconciler.core.carried import carried
from conveyor.reconciler.core.look import HEARS_VERDICTS, Pass, Sighting, heard_until

RELATIONS = "relations"
"""The field of a change that no webhook tells."""


def missed_comments(view: Pass, seen: Sighting) -> Iterator[CommentAdded | VerdictGiven]:
    """Yield what people said since the task last listened: verdicts, and answers while it waits for one.

    Comments that somebody edited are passed over, as the gateway does: the words may be another's.
    """
    task = view.tasks.get(seen.issue.key)
    if task is None or task.is_over or task.waiting not in HEARS_VERDICTS:
        return
    for comment in seen.comments:
        if comment.is_ours or comment.is_edited or comment.actor_id == view.own_user_id:
            continue
        if comment.at > heard_until(task) and (event := _said(view, task, comment)):
            yield event


def _said(view: Pass, task: Task, comment: TrackerComment) -> CommentAdded | VerdictGiven | None:
    common = carried(view, task.key, facts_ids.comment_added(comment.comment_id), comment.at)
    common["actor"] = Actor(actor_id=comment.actor_id)
    given = verdict(comment.text)
    if given is not None:
        return VerdictGiven(verdict=given[0], reason=given[1], via=Via.COMMENT, issue_id=task.issue_id, **common)
    asked_at = task.gate.asked_at if task.gate else None
    if task.waiting is Waiting.ANSWER and (asked_at is None or comment.at > asked_at):
        return CommentAdded(comment_id=comment.comment_id, text=comment.text, **common)
    return None


def missed_edit(view: Pass, seen: Sighting) -> IssueChanged | None:
    """Return the change of what a task keeps of its issue: the title, and, where relations were read, dependencies."""
    issue, task = seen.issue, view.tasks.get(seen.issue.key)
    if task is None or task.is_over or (task.edited_at and issue.updated_at < task.edited_at):
        return None
    depends_on = _depends_on(task, seen)
    is_described = depends_on is not None and not set(dependencies(issue.description)) <= {*task.depends_on, task.key}
    changes = {
        "name": issue.title if issue.title != task.title else None,
        "description" if is_described else RELATIONS: ", ".join(depends_on) if depends_on is not None else None,
    }
    fields = tuple(name for name, value in changes.items() if value is not None)
    if not fields:
        return None
    told = "\n".join(value for value in changes.values() if value is not None)
    name = facts_ids.issue_edited(issue.issue_id, "+".join(fields), told, issue.updated_at)
    return IssueChanged(
        issue_id=issue.issue_id,
        title=issue.title,
        fields=fields,
        depends_on=depends_on,
        **carried(view, issue.key, name, issue.updated_at),
    )


def _depends_on(task: Task, seen: Sighting) -> tuple[str, ...] | None:
    """Return what the issue depends on now, by its text and by its relations; None when that is what the task knows."""
    if seen.blockers is None:
        return None
    found = dict.fromkeys([*dependencies(seen.issue.description), *seen.blockers])
    found.pop(task.key, None)
    return None if set(found) == set(task.depends_on) - {task.key} else tuple(found)
