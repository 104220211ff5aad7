"""An event says *look*: what it acts upon is read again before it is decided, so that a stale delivery cannot lie.

Who acted and when comes from the tracker's own activity list, a person's role from its members, a branch's commit
from the forge. Facts that no longer hold come back as None with the reason in the log.
"""

from typing import TypeVar

from msgspec import structs

from conveyor.contracts.errors import TransientError
from conveyor.contracts.events import (
    Actor,
    AnyEvent,
    BranchPushed,
    CommentAdded,
    IssueChanged,
    IssueStarted,
    PullRequestAction,
    PullRequestChanged,
    ReviewSubmitted,
    ReviewValue,
    Role,
    VerdictGiven,
    Via,
)
from conveyor.contracts.observed import StateChange
from conveyor.contracts.project import Project
from conveyor.contracts.spoken import start_state_id
from conveyor.contracts.task import CANCELLED, Task
from conveyor.servicekit import logs
from conveyor.stage_engine.ports import Forge, Tracker
from conveyor.stage_engine.projects import Projects

log = logs.get("look")
Spoken = TypeVar("Spoken", VerdictGiven, CommentAdded)


class Look:
    """Reads again what an event acts upon."""

    def __init__(self, projects: Projects, tracker: Tracker, forge: Forge) -> None:
        self._projects = projects
        self._tracker = tracker
        self._forge = forge

    async def at(self, task: Task | None, event: AnyEvent) -> AnyEvent | None:
        """Return the event as it stands now, or None when what it tells is no longer so."""
        project = self._projects.project(event.project)
        match event:
            case BranchPushed() | PullRequestChanged() | ReviewSubmitted():
                return await self._at_forge(project, task, event)
            case IssueStarted():
                return await self._start(project, task, event)
            case VerdictGiven():
                return await self._verdict(project, task, event)
            case CommentAdded():
                return await self._known(project, event) if task else event
            case IssueChanged(depends_on=tuple(named)) if task:
                return structs.replace(event, depends_on=await self._depends_on(project, event, named))
            case _:
                return event

    async def _at_forge(
        self, project: Project, task: Task | None, event: BranchPushed | PullRequestChanged | ReviewSubmitted
    ) -> AnyEvent | None:
        match event:
            case BranchPushed():
                sha = await self._forge.branch_sha(project.repository, event.branch)
                return structs.replace(event, sha=sha) if sha else None
            case PullRequestChanged(action=PullRequestAction.SYNCHRONIZED) if task:
                sha = await self._forge.branch_sha(project.repository, task.branch)
                return structs.replace(event, head_sha=sha) if sha else None
            case ReviewSubmitted(review=ReviewValue.REJECTED) if task:
                return await self._review(project, task, event)
            case _:
                return event

    async def _start(self, project: Project, task: Task | None, event: IssueStarted) -> IssueStarted | None:
        if task is not None:
            move = await self._move_behind(project, task, event)
            if move is None:
                return None
            event = structs.replace(event, at=move.at)
        if task is not None and task.stage != CANCELLED:
            return event
        return structs.replace(event, depends_on=await self._depends_on(project, event, event.depends_on))

    async def _depends_on(
        self, project: Project, event: IssueStarted | IssueChanged, named: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Return the keys that the issue's text names, and those its relations in the tracker do, each once."""
        blockers = await self._tracker.relations(project.tracker_project_id, event.issue_id)
        keys = [await self._key_of(project, issue_id) for issue_id in blockers]
        return tuple(key for key in dict.fromkeys([*named, *keys]) if key and key != event.key)

    async def _review(self, project: Project, task: Task, event: ReviewSubmitted) -> ReviewSubmitted | None:
        """Return a request for changes that still holds: the reviewer's last word, of this head, not dismissed.

        It costs a run of the developer; the webhook names neither the review nor its commit.
        """
        who = event.actor.actor_id if event.actor else ""
        reviews = await self._forge.reviews(project.repository, event.number)
        words = [one for one in reviews if one.verdict != "commented" and who in ("", one.reviewer)]
        last = next((one for one in reversed(words) if not one.dismissed), None)
        if last is None or last.verdict != "rejected" or last.commit_id not in ("", event.head_sha or task.head):
            log.info("the request for changes no longer holds", task=task.key, event_id=event.event_id)
            return None
        return event

    async def _key_of(self, project: Project, issue_id: str) -> str:
        issue = await self._tracker.issue(project.tracker_project_id, issue_id)
        return issue.key if issue else ""

    async def _verdict(self, project: Project, task: Task | None, event: VerdictGiven) -> VerdictGiven | None:
        if task is None:
            return event
        if event.via is Via.STATUS:
            move = await self._move_behind(project, task, event)
            if move is None:
                return None
            event = structs.replace(event, at=move.at, actor=Actor(actor_id=move.actor_id))
        return await self._known(project, event)

    async def _move_behind(
        self, project: Project, task: Task, event: IssueStarted | VerdictGiven
    ) -> StateChange | None:
        """Return the move into the issue's present state, or None when that state is not the one the event tells of.

        The tracker writes its activity list a little after it sends the webhook: until the list has caught up with
        the issue, this is a TransientError. It is asked ever more rarely, since its worker may hang for hours while
        every question counts against the bot's 60 a minute.
        """
        issue = await self._tracker.issue(project.tracker_project_id, task.issue_id)
        if issue is None or issue.state_id not in await self._states_behind(project, event):
            log.info("the issue has moved on; the event is stale", task=task.key, event_id=event.event_id)
            return None
        move = await self._tracker.last_move(project.tracker_project_id, task.issue_id)
        if move is None and isinstance(event, IssueStarted):  # it was created there
            return StateChange(activity_id="", state_id=issue.state_id, actor_id="", at=issue.created_at)
        if move is None or move.state_id != issue.state_id:
            raise TransientError(f"{task.key}: the tracker has not yet listed its last move")
        return move

    async def _states_behind(self, project: Project, event: IssueStarted | VerdictGiven) -> set[str]:
        states = await self._tracker.states(project.tracker_project_id)
        if isinstance(event, IssueStarted):
            return {start_state_id(project, states)}
        return {state.state_id for state in states if state.name.casefold() == event.verdict.value}

    async def _known(self, project: Project, event: Spoken) -> Spoken:
        """Give the acting person the role the tracker knows."""
        actor = event.actor
        if actor is None or actor.role is Role.OPERATOR:
            return event
        members = await self._tracker.members(project.tracker_project_id)
        member = next((member for member in members if member.user_id == actor.actor_id), None)
        role = Role(member.role) if member else Role.UNKNOWN
        name = member.name if member else actor.name
        return structs.replace(event, actor=structs.replace(actor, role=role, name=name))
