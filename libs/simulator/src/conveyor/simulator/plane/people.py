"""What people do to the simulated Plane by hand: move cards, write issues and comments. Always as the web page does it,
with its field names in webhooks, and without webhooks where Plane sends none or the test wants none.
"""

import html
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

from conveyor.simulator.plane.tracker import Tracker
from conveyor.simulator.plane.webhooks import Webhooks
from conveyor.simulator.plane.world import (
    ADMIN,
    MEMBER,
    WORKING_STATES,
    Activity,
    Comment,
    Issue,
    Label,
    Project,
    State,
    User,
    World,
)

States = Iterable[tuple[str, str, str]]


class People:
    """The verbs. `by` is the owner unless told otherwise; `quietly` does the same without a webhook.

    An issue may be given as itself or by its key ("RIG-12"), a state or label by its name. What does not exist is a
    LookupError: a test has a mistake.
    """

    def __init__(self, world: World, webhooks: Webhooks) -> None:
        self.world = world
        self.webhooks = webhooks
        self.tracker = Tracker(world, webhooks.tell)
        self.owner = next((user for user in world.users.values() if user.role == ADMIN), None) or self.add_user(
            "Ada", ADMIN
        )

    @contextmanager
    def quietly(self, quiet: bool = True) -> Iterator[None]:
        """Do what stands inside without a webhook; only verbs called by this task are meant."""
        with self.webhooks.quietly(quiet):
            yield
            self.tracker.settle()

    # --- around issues ----------------------------------------------------------------------------------------------

    def add_user(self, name: str, role: int = MEMBER, *, is_bot: bool = False) -> User:
        """Somebody with an API key, member of every project there is and will be."""
        email = f"{name.lower().replace(' ', '.')}@plane.test"
        key = f"plane_api_{uuid4().hex}"
        user = User(name, role, is_bot, key, first_name=name, email=email)
        self.world.users[user.id] = user
        for project in self.world.projects.values():
            project.members[user.id] = role
        return user

    def revoke_key(self, user: User) -> None:
        """From now on the key answers 403, as an expired one does."""
        user.key_works = False

    def create_project(
        self, name: str, identifier: str, *, states: States = WORKING_STATES, by: User | None = None
    ) -> Project:
        """A project with everybody in it; the first of its states (name, group, color) is the default."""
        everybody = self.world.users.values()
        return self.tracker.create_project(name, identifier, states, by or self.owner, everybody)

    def delete_project(self, project: Project, *, by: User | None = None) -> None:
        """The one deletion that Plane tells."""
        self.tracker.delete_project(project, by or self.owner)

    def create_label(self, project: Project, name: str, *, by: User | None = None) -> Label:
        """A label to put on issues."""
        return self.tracker.create_label(project, {"name": name, "color": "#123456"}, by or self.owner)

    # --- issues -----------------------------------------------------------------------------------------------------

    def create_issue(
        self,
        project: Project,
        name: str,
        description_html: str = "<p></p>",
        *,
        by: User | None = None,
        quietly: bool = False,
        **values: Any,
    ) -> Issue:
        """A new issue; `values` are REST fields, such as state="Todo", labels=["bug"], priority="high"."""
        body = {"name": name, "description_html": description_html, **self._ids(project, values)}
        with self.quietly(quietly):
            return self.tracker.create_issue(project, body, by or self.owner)

    def edit_issue(self, issue: Issue | str, *, by: User | None = None, quietly: bool = False, **values: Any) -> None:
        """Change REST fields (name, labels by name, priority, ...); each one that differs brings its own webhook."""
        found = self.issue(issue)
        ids = self._ids(self.world.projects[found.project_id], values)
        with self.quietly(quietly):
            self.tracker.change_issue(found, ids, by or self.owner, web=True)

    def move_issue(
        self,
        issue: Issue | str,
        state: str,
        *,
        by: User | None = None,
        quietly: bool = False,
        drag: bool = False,
    ) -> None:
        """Give it another state; `drag` does it on the board, which tells of its place (`sort_order`) as well."""
        place = {"sort_order": self.issue(issue).sort_order - 1} if drag else {}
        self.edit_issue(issue, by=by, quietly=quietly, state=state, **place)

    def delete_issue(self, issue: Issue | str) -> None:
        """Gone; Plane tells nobody."""
        self.tracker.delete_issue(self.issue(issue))

    def archive_issue(self, issue: Issue | str, *, by: User | None = None) -> None:
        """Out of lists and reads; Plane tells nobody."""
        self.tracker.archive_issue(self.issue(issue), by or self.owner)
        self.tracker.settle()

    def create_draft(self, project: Project, name: str, *, by: User | None = None) -> Issue:
        """A draft: unlisted, told to nobody."""
        with self.quietly():
            issue = self.tracker.create_issue(project, {"name": name}, by or self.owner)
            issue.is_draft = True
        return issue

    def publish_draft(self, issue: Issue, *, by: User | None = None) -> None:
        """The draft becomes an issue, and still nobody is told."""
        issue.is_draft = False
        with self.quietly():
            self.tracker.change_issue(issue, {}, by or self.owner)

    def relate(self, issue: Issue | str, kind: str, *others: Issue | str, by: User | None = None) -> None:
        """Make the issue `blocked_by`, `blocking`, `relates_to`, ... others; Plane tells nobody."""
        self.tracker.relate(self.issue(issue), kind, [self.issue(other) for other in others], by or self.owner)
        self.tracker.settle()

    def backdate(self, issue: Issue | str, seconds: float) -> None:
        """Let the issue look as if nothing had touched it for so long."""
        self.issue(issue).updated_at = self.world.clock.now() - timedelta(seconds=seconds)

    # --- comments ---------------------------------------------------------------------------------------------------

    def comment(self, issue: Issue | str, text: str, *, by: User | None = None, quietly: bool = False) -> Comment:
        """Write a comment; plain text becomes a paragraph, text that opens with "<" is taken as HTML."""
        with self.quietly(quietly):
            return self.tracker.create_comment(self.issue(issue), {"comment_html": _html(text)}, by or self.owner)

    def edit_comment(self, comment: Comment, text: str, *, by: User | None = None, quietly: bool = False) -> None:
        """Rewrite a comment, which anybody may."""
        with self.quietly(quietly):
            self.tracker.edit_comment(comment, _html(text), by or self.owner, web=True)

    def delete_comment(self, comment: Comment, *, by: User | None = None) -> None:
        """Gone; Plane tells nobody."""
        self.tracker.delete_comment(comment, by or self.owner)
        self.tracker.settle()

    # --- looking ----------------------------------------------------------------------------------------------------

    def issue(self, key: Issue | str) -> Issue:
        """The issue of a key."""
        if isinstance(key, Issue):
            return key
        identifier, _, number = key.partition("-")
        project = self.world.project_of_identifier(identifier)
        found = self.world.issue_of_number(project.id, int(number)) if project else None
        if found is None:
            raise LookupError(f"there is no issue {key}")
        return found

    def key_of(self, issue: Issue) -> str:
        """The key of an issue, such as RIG-12."""
        return self.world.key_of(issue)

    def state(self, project: Project, name: str) -> State:
        """The state of this name."""
        for state in self.world.states_of(project.id):
            if state.name == name:
                return state
        raise LookupError(f"{project.identifier} has no state {name!r}")

    def state_of(self, issue: Issue | str) -> str:
        """The name of the state an issue stands in."""
        return self.world.states[self.issue(issue).state_id].name

    def comments_of(self, issue: Issue | str) -> list[Comment]:
        """An issue's comments, oldest first."""
        return self.world.comments_of(self.issue(issue).id)[::-1]

    def activities_of(self, issue: Issue | str) -> list[Activity]:
        """An issue's history, oldest first."""
        issue_id = self.issue(issue).id
        return [one for one in self.world.activities if one.issue_id == issue_id]

    def _ids(self, project: Project, values: dict[str, Any]) -> dict[str, Any]:
        """REST values with names of states, labels, people and parents turned into ids."""
        ids = dict(values)
        if "state" in ids:
            ids["state"] = self.state(project, ids["state"]).id
        if "labels" in ids:
            known = {label.name: label.id for label in self.world.labels_of(project.id)}
            ids["labels"] = [known[name] for name in ids["labels"]]
        if "assignees" in ids:
            ids["assignees"] = [one.id if isinstance(one, User) else one for one in ids["assignees"]]
        if ids.get("parent"):
            ids["parent"] = self.issue(ids["parent"]).id
        return ids


def _html(text: str) -> str:
    return text if text.startswith("<") else f"<p>{html.escape(text, quote=False)}</p>"
