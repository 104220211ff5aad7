"""What the tracker's deliveries mean: a start, a verdict, an answer, an end, or news about the issue."""

from typing import Any

from conveyor.contracts import facts_ids
from conveyor.contracts.events import (
    AnyEvent,
    CloseKind,
    CommentAdded,
    IssueChanged,
    IssueClosed,
    IssueStarted,
    VerdictGiven,
    VerdictValue,
    Via,
)
from conveyor.contracts.facts_ids import PLANE
from conveyor.contracts.project import Project
from conveyor.contracts.spoken import dependencies, start_state_id, verdict
from conveyor.gateway.core.carried import carried
from conveyor.gateway.core.drafts import Draft, Ignored, IgnoredKind, about
from conveyor.gateway.core.registry import Registry, Situation
from conveyor.gateway.core.told import CommentTold, IssueGone, IssueTold

TEXT_FIELDS = frozenset({"name", "description", "labels", "assignees", "priority", "relations"})
"""Changes that a run should know of; the rest (sort order, dates, estimates) is the tracker's own business."""
VERDICTS = frozenset(VerdictValue)
CLOSING_GROUPS = {"completed": CloseKind.COMPLETED, "cancelled": CloseKind.CANCELLED}


def issue(told: IssueTold, registry: Registry, situation: Situation) -> Draft | Ignored:
    """Return what became of an issue."""
    project = registry.of_tracker(told.issue.tracker_project_id)
    if project is None:
        return _unknown(told.issue.tracker_project_id)
    event = _moved(told, project, situation) if told.field in {"", "state"} else _edited(told, situation)
    if isinstance(event, Ignored):
        return event
    return Draft(event=about(event, project.name, f"{project.identifier}-{told.issue.number}"))


def gone(told: IssueGone, situation: Situation) -> Draft:
    """Return the end of an issue; its key has to be looked up, nothing but its id is left."""
    name = facts_ids.issue_deleted(told.issue_id)
    common = carried(PLANE, name, situation.received_at, told.actor, situation)
    return Draft(event=IssueClosed(how=CloseKind.DELETED, **common), issue_id=told.issue_id)


def comment(told: CommentTold, registry: Registry, situation: Situation) -> Draft | Ignored:
    """Return a verdict when the comment opens with one, else what was said; it names its issue by id only."""
    if registry.of_tracker(told.tracker_project_id) is None:
        return _unknown(told.tracker_project_id)
    if told.is_ours:
        return Ignored(IgnoredKind.OWN_ACCOUNT, "a comment with our own mark")
    if told.is_edited:
        return Ignored(
            IgnoredKind.SUPERSEDED, "the comment was edited before it reached us: the words may be another's"
        )
    common = carried(PLANE, facts_ids.comment_added(told.comment_id), told.created_at, told.actor, situation)
    given = verdict(told.text)
    event: AnyEvent
    if given is None:
        event = CommentAdded(comment_id=told.comment_id, text=told.text, **common)
    else:
        event = VerdictGiven(verdict=given[0], reason=given[1], via=Via.COMMENT, issue_id=told.issue_id, **common)
    return Draft(event=event, issue_id=told.issue_id, tracker_project_id=told.tracker_project_id)


def _moved(told: IssueTold, project: Project, situation: Situation) -> AnyEvent | Ignored:
    """Return what the issue's state asks for.

    The payload shows the issue as it was when it was packed, which may be later than the change it tells. Such a
    change is passed over: the later one has a delivery of its own, and this one's actor did not make it.
    """
    state = told.issue.state
    is_overtaken = told.new_value != state.state_id if told.field else told.issue.is_touched
    if is_overtaken:
        return Ignored(IgnoredKind.SUPERSEDED, f"the issue is in {state.name!r} by now")
    at = told.issue.updated_at if told.field else told.issue.created_at
    name = facts_ids.issue_moved(told.issue.issue_id, state.state_id, at)
    common = carried(PLANE, name, at, told.actor, situation)
    return _asked(told, start_state_id(project, situation.states), common)


def _asked(told: IssueTold, start_id: str, common: dict[str, Any]) -> AnyEvent | Ignored:
    """Return the event for a state: names that people use to speak to us win over the state's group."""
    issue_, state = told.issue, told.issue.state
    if issue_.state_key in VERDICTS:
        value = VerdictValue(issue_.state_key)
        return VerdictGiven(verdict=value, via=Via.STATUS, issue_id=issue_.issue_id, **common)
    if state.state_id == start_id:
        return IssueStarted(
            issue_id=issue_.issue_id, title=issue_.title, depends_on=dependencies(issue_.description), **common
        )
    if told.field and state.group in CLOSING_GROUPS:
        return IssueClosed(how=CLOSING_GROUPS[state.group], **common)
    return Ignored(IgnoredKind.UNUSED_KIND, f"the status {state.name!r} asks nothing of us")


def _edited(told: IssueTold, situation: Situation) -> AnyEvent | Ignored:
    if told.field not in TEXT_FIELDS:
        return Ignored(IgnoredKind.UNUSED_KIND, f"a change of {told.field}")
    issue_ = told.issue
    name = facts_ids.issue_edited(issue_.issue_id, told.field, _value(told), issue_.updated_at)
    return IssueChanged(
        issue_id=issue_.issue_id,
        title=issue_.title,
        fields=(told.field,),
        depends_on=dependencies(issue_.description) if told.field == "description" else None,
        **carried(PLANE, name, issue_.updated_at, told.actor, situation),
    )


def _value(told: IssueTold) -> str:
    shown: dict[str, str] = {"name": told.issue.title, "description": told.issue.description}
    return shown.get(told.field, told.new_value)


def _unknown(tracker_project_id: str) -> Ignored:
    return Ignored(IgnoredKind.UNKNOWN_PROJECT, f"no project is configured for the tracker's {tracker_project_id}")
