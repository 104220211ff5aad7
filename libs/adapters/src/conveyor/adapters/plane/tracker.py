"""Plane as the services see it: issues, states, people and comments of one workspace, read and written by REST."""

import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime

from conveyor.adapters.plane.cache import Cache
from conveyor.adapters.plane.http import Call, Page, PlaneHttp
from conveyor.adapters.plane.limiter import Limiter
from conveyor.adapters.plane.refusals import DuplicateError, NoObjectError, NoPageError
from conveyor.adapters.plane.shapes import (
    ActivityRow,
    Anything,
    CommentRow,
    IssueRow,
    ProjectRow,
    RelationRows,
    StateRow,
    UserRow,
    time_of,
)
from conveyor.adapters.plane.status_names import own_state, resolve_state
from conveyor.adapters.plane.text import comment_text, html_of, text_of
from conveyor.contracts.errors import PermanentError
from conveyor.contracts.ids import is_key
from conveyor.contracts.observed import LONG_AGO, StateChange, TrackerComment, TrackerIssue, TrackerMember, TrackerState

SOURCE = "conveyor"
"""The external source of what we write; with the external id it makes a repeated comment a refused duplicate."""
_PAGE = "100"
_ROLES = {20: "admin", 15: "member", 5: "guest"}


class PlaneTracker:
    """One workspace through one API key. Without a `limiter` it shares the one of its key in this process."""

    def __init__(
        self,
        url: str,
        workspace: str,
        api_key: str,
        *,
        limiter: Limiter | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = PlaneHttp(url, api_key, limiter)
        self._workspace = f"workspaces/{workspace}"
        self._states: Cache[tuple[TrackerState, ...]] = Cache(serves_stale=True, monotonic=monotonic)
        self._identifiers: Cache[str] = Cache(serves_stale=True, monotonic=monotonic)
        # Who left a project must not go on approving because the tracker is away: no stale answer here.
        self._members: Cache[tuple[TrackerMember, ...]] = Cache(serves_stale=False, monotonic=monotonic)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def me(self) -> str:
        """Return the user id of the key's owner."""
        call = Call(path="users/me", doing="asking Plane who the API key belongs to")
        return (await self._http.ask(call, UserRow)).id

    @property
    def remaining_calls(self) -> int | None:
        """How many calls Plane still allowed in this minute when it last answered; None when it has not said."""
        return self._http.remaining

    async def identifier(self, project_id: str) -> str:
        """Return the prefix of a project's keys; NoObjectError or NoPageError when there is no such project."""
        return await self._identifiers.get(project_id, lambda: self._load_identifier(project_id))

    async def states(self, project_id: str) -> tuple[TrackerState, ...]:
        """Return the project's states; cached 300 s, the last good set serves while Plane cannot be asked (SE-14)."""
        return await self._states.get(project_id, lambda: self._load_states(project_id))

    async def states_with(self, project_id: str, state_id: str) -> tuple[TrackerState, ...]:
        """As `states`; asked anew, twice a minute at most, when none of them has this id: somebody just added it."""
        states = await self.states(project_id)
        if any(state.state_id == state_id for state in states):
            return states
        self._states.doubt(project_id)
        return await self.states(project_id)

    async def resolve(self, project_id: str, key: str) -> TrackerState:
        """Return the state that shows a logical key in this project, a base key's where it has no own (SE-13).

        PermanentError when the project has nothing that could stand for it.
        """
        if state := resolve_state(await self.states(project_id), key):
            return state
        raise PermanentError(f"the Plane project {project_id} has no status for {key}; add one with that name")

    async def own_state(self, project_id: str, key: str) -> TrackerState | None:
        """Return the project's own state of a logical key, never a base key's; None when it has none."""
        return own_state(await self.states(project_id), key)

    async def members(self, project_id: str) -> tuple[TrackerMember, ...]:
        """Return the project's members with their workspace role; cached 300 s, an error when that cannot be renewed.

        Plane's API tells no role in a project, so the role is the one in the workspace.
        """
        return await self._members.get(project_id, lambda: self._load_members(project_id))

    async def issue(self, project_id: str, issue_id: str) -> TrackerIssue | None:
        """Return the issue as it is now, or None when it was deleted, archived or is not in the project."""
        call = Call(path=self._issue_path(project_id, issue_id), doing=f"reading issue {issue_id}")
        try:
            row = await self._http.ask(call, IssueRow)
        except NoObjectError:
            return None
        return await self._issue(row)

    async def issue_by_key(self, key: str) -> TrackerIssue | None:
        """Return the issue with a key such as SHOP-12, or None; any other text is None too (Plane answers it 500)."""
        if not is_key(key):
            return None
        call = Call(path=f"{self._workspace}/work-items/{key}", doing=f"reading issue {key}")
        try:
            row = await self._http.ask(call, IssueRow)
        except NoObjectError:
            return None
        return await self._issue(row)

    async def changed_issues(self, project_id: str, since: datetime) -> AsyncIterator[TrackerIssue]:
        """Yield the issues whose `updated_at` is `since` or later, newest first, each once; pages as they are needed.

        Deleted, archived and draft issues are never in the list. One whose time cannot be read is yielded wherever it
        stands.
        """
        fields = "id,name,sequence_id,state,project,created_at,updated_at,description_html"
        params = {"order_by": "-updated_at", "per_page": _PAGE, "fields": fields}
        call = Call(path=f"{self._project_path(project_id)}/work-items", params=params, doing="listing changed issues")
        seen: set[str] = set()
        async for row in self._http.pages(call, Page[IssueRow]):
            if LONG_AGO < time_of(row.updated_at) < since:
                return
            if row.id not in seen:
                seen.add(row.id)
                yield await self._issue(row)

    async def last_move(self, project_id: str, issue_id: str) -> StateChange | None:
        """Return the issue's latest change of state by its activity list; None when it never moved since created.

        Plane writes the list shortly after the change: compare `state_id` with the issue's before believing it.
        """
        path = f"{self._issue_path(project_id, issue_id)}/activities"
        call = Call(path=path, doing=f"reading the activities of issue {issue_id}")
        latest: ActivityRow | None = None
        async for row in self._http.pages(call, Page[ActivityRow]):
            if row.field == "state" and (latest is None or time_of(row.created_at) >= time_of(latest.created_at)):
                latest = row
        if latest is None:
            return None
        return StateChange(
            activity_id=latest.id,
            state_id=latest.new_identifier or "",
            actor_id=latest.actor or "",
            at=time_of(latest.created_at),
        )

    async def relations(self, project_id: str, issue_id: str) -> tuple[str, ...]:
        """Return the ids of the issues that block this one; none on a Plane before 1.3, which tells no relations."""
        path = f"{self._issue_path(project_id, issue_id)}/relations"
        try:
            rows = await self._http.ask(Call(path=path, doing=f"reading relations of issue {issue_id}"), RelationRows)
        except NoPageError:
            return ()
        return tuple(row.issue_id for row in rows.blocked_by)

    async def comments(self, project_id: str, issue_id: str) -> tuple[TrackerComment, ...]:
        """Return the issue's comments, oldest first, each with who really wrote it, whomever that one claimed to be."""
        path = f"{self._issue_path(project_id, issue_id)}/comments"
        call = Call(path=path, doing=f"reading the comments of issue {issue_id}")
        rows = [row async for row in self._http.pages(call, Page[CommentRow])]
        return tuple(_comment(row) for row in sorted(rows, key=lambda row: time_of(row.created_at)))

    async def set_state(self, project_id: str, issue_id: str, state_id: str) -> None:
        """Move the issue into a state; harmless when it is there already."""
        await self._http.ask(
            Call(
                method="PATCH",
                path=self._issue_path(project_id, issue_id),
                body={"state": state_id},
                doing=f"setting the state of issue {issue_id}",
            ),
            Anything,
        )

    async def comment(self, project_id: str, issue_id: str, text: str, marker: str) -> None:
        """Post plain text as a comment once: the same marker again changes nothing (SE-21)."""
        call = Call(
            method="POST",
            path=f"{self._issue_path(project_id, issue_id)}/comments",
            body={"comment_html": html_of(text), "external_source": SOURCE, "external_id": marker},
            doing=f"commenting on issue {issue_id}",
        )
        try:
            await self._http.ask(call, Anything)
        except DuplicateError:
            return

    def _project_path(self, project_id: str) -> str:
        return f"{self._workspace}/projects/{project_id}"

    def _issue_path(self, project_id: str, issue_id: str) -> str:
        return f"{self._project_path(project_id)}/work-items/{issue_id}"

    async def _issue(self, row: IssueRow) -> TrackerIssue:
        identifier = await self.identifier(row.project)
        return TrackerIssue(
            issue_id=row.id,
            key=f"{identifier}-{row.sequence_id}",
            title=row.name,
            state_id=row.state or "",
            description=text_of(row.description_html or ""),
            updated_at=time_of(row.updated_at),
            created_at=time_of(row.created_at),
        )

    async def _load_identifier(self, project_id: str) -> str:
        call = Call(path=self._project_path(project_id), doing=f"reading the project {project_id}")
        return (await self._http.ask(call, ProjectRow)).identifier

    async def _load_states(self, project_id: str) -> tuple[TrackerState, ...]:
        call = Call(path=f"{self._project_path(project_id)}/states", doing=f"reading the states of {project_id}")
        rows = [row async for row in self._http.pages(call, Page[StateRow])]
        return tuple(TrackerState(state_id=row.id, name=row.name, group=row.group) for row in rows)

    async def _load_members(self, project_id: str) -> tuple[TrackerMember, ...]:
        workspace = Call(path=f"{self._workspace}/members", doing="reading the members of the workspace")
        project = Call(path=f"{self._project_path(project_id)}/members", doing=f"reading the members of {project_id}")
        roles = {row.id: _ROLES.get(row.role, "guest") for row in await self._http.ask(workspace, list[UserRow])}
        rows = await self._http.ask(project, list[UserRow])
        return tuple(
            TrackerMember(user_id=row.id, name=row.display_name, role=roles.get(row.id, "guest")) for row in rows
        )


def _comment(row: CommentRow) -> TrackerComment:
    return TrackerComment(
        comment_id=row.id,
        actor_id=row.actor or "",
        text=comment_text(row.comment_html or ""),
        at=time_of(row.created_at),
        # Only the web page sets edited_at; every edit sets updated_by.
        is_edited=row.edited_at is not None or row.updated_by is not None,
        is_ours=row.external_source == SOURCE,
    )
