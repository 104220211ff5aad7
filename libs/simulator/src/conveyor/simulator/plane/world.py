"""What the simulated Plane knows: one workspace with its users, projects, states, labels, issues and their history."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import uuid4

from conveyor.simulator.clock import Clock

ADMIN, MEMBER, GUEST = 20, 15, 5
PRIORITIES = ("urgent", "high", "medium", "low", "none")
STATE_GROUPS = ("backlog", "unstarted", "started", "completed", "cancelled")


class StateSpec(NamedTuple):
    """A state as a project's owner orders it."""

    name: str
    group: str
    color: str = "#60646C"


PLANE_STATES = (
    StateSpec("Backlog", "backlog"),
    StateSpec("Todo", "unstarted"),
    StateSpec("In Progress", "started", "#F59E0B"),
    StateSpec("Done", "completed", "#46A758"),
    StateSpec("Cancelled", "cancelled", "#9AA4BC"),
)
"""What Plane itself makes for a new project."""

WORKING_STATES = (
    *PLANE_STATES[:2],
    StateSpec("To Analyse", "unstarted"),
    StateSpec("Analysis", "started"),
    PLANE_STATES[2],
    StateSpec("In Review", "started"),
    StateSpec("Needs Input", "started"),
    StateSpec("Approved", "started"),
    StateSpec("Rejected", "started"),
    StateSpec("Blocked", "started"),
    *PLANE_STATES[3:],
)
"""What a team that works with agents would have."""


def new_id() -> str:
    """A fresh id in Plane's form."""
    return str(uuid4())


@dataclass(eq=False)
class User:
    """Somebody with an API key; `role` is theirs in the workspace, and in projects unless told otherwise."""

    display_name: str
    role: int
    is_bot: bool
    api_key: str
    id: str = field(default_factory=new_id)
    first_name: str = ""
    email: str = ""
    key_works: bool = True


@dataclass(eq=False)
class Row:
    """What every stored thing carries."""

    created_at: datetime
    updated_at: datetime
    created_by: str
    id: str = field(default_factory=new_id, kw_only=True)
    updated_by: str | None = field(default=None, kw_only=True)
    external_source: str | None = field(default=None, kw_only=True)
    external_id: str | None = field(default=None, kw_only=True)


@dataclass(eq=False)
class Project(Row):
    """A project; `members` maps a user's id to their role in it."""

    name: str
    identifier: str
    description: str = ""
    members: dict[str, int] = field(default_factory=dict)
    last_sequence_id: int = 0
    switches: dict[str, bool] = field(default_factory=dict)
    """What was switched on or off by hand, such as `intake_view`."""


@dataclass(eq=False)
class State(Row):
    """One column of a project's board."""

    project_id: str
    name: str
    group: str
    color: str
    sequence: float
    default: bool = False
    description: str = ""
    slug: str = ""


@dataclass(eq=False)
class Label(Row):
    """A label of a project."""

    project_id: str
    name: str
    color: str
    sort_order: float
    description: str = ""


@dataclass(eq=False)
class Issue(Row):
    """A work item. Drafts and archived ones are stored but not listed."""

    project_id: str
    sequence_id: int
    name: str
    state_id: str
    description_html: str = "<p></p>"
    priority: str = "none"
    label_ids: list[str] = field(default_factory=list)
    assignee_ids: list[str] = field(default_factory=list)
    parent_id: str | None = None
    start_date: str | None = None
    target_date: str | None = None
    estimate_point: str | None = None
    sort_order: float = 65535.0
    completed_at: datetime | None = None
    archived_at: str | None = None
    is_draft: bool = False


@dataclass(eq=False)
class Comment(Row):
    """A comment; `actor_id` is its author, whoever edits it later."""

    issue_id: str
    project_id: str
    actor_id: str
    comment_html: str
    access: str = "INTERNAL"
    edited_at: datetime | None = None
    description_id: str = field(default_factory=new_id)


@dataclass(eq=False)
class Activity(Row):
    """One line of an issue's history, with names for people and ids for machines."""

    issue_id: str
    project_id: str
    verb: str
    field: str | None = None
    old_value: str | None = None
    new_value: str | None = None
    old_identifier: str | None = None
    new_identifier: str | None = None
    comment: str = ""


@dataclass(eq=False)
class Relation(Row):
    """`issue_id` is `kind` (blocked_by, duplicate, ...) `related_id`."""

    issue_id: str
    related_id: str
    kind: str


@dataclass(eq=False)
class Link(Row):
    """An address that hangs on an issue."""

    issue_id: str
    project_id: str
    title: str
    url: str


@dataclass
class World:
    """One workspace. Look-ups answer None where nothing is; they never invent."""

    slug: str
    clock: Clock
    workspace_id: str = field(default_factory=new_id)
    users: dict[str, User] = field(default_factory=dict)
    projects: dict[str, Project] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)
    labels: dict[str, Label] = field(default_factory=dict)
    issues: dict[str, Issue] = field(default_factory=dict)
    comments: dict[str, Comment] = field(default_factory=dict)
    activities: list[Activity] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)
    links: dict[str, Link] = field(default_factory=dict)

    def user_of_key(self, api_key: str) -> User | None:
        """The user whose working key this is."""
        return next((user for user in self.users.values() if user.api_key == api_key and user.key_works), None)

    def project_of_identifier(self, identifier: str) -> Project | None:
        """By "RIG", case-sensitive."""
        return next((project for project in self.projects.values() if project.identifier == identifier), None)

    def states_of(self, project_id: str) -> list[State]:
        """A project's states in the order of its board."""
        states = (state for state in self.states.values() if state.project_id == project_id)
        return sorted(states, key=lambda state: state.sequence)

    def labels_of(self, project_id: str) -> list[Label]:
        """A project's labels, oldest first."""
        return [label for label in self.labels.values() if label.project_id == project_id]

    def listed_issues(self, project_id: str) -> list[Issue]:
        """What lists show: neither drafts nor archived ones."""
        mine = (issue for issue in self.issues.values() if issue.project_id == project_id)
        return [issue for issue in mine if not issue.is_draft and issue.archived_at is None]

    def issue_of_number(self, project_id: str, sequence_id: int) -> Issue | None:
        """The issue with this number in its project, drafts and archived ones too."""
        mine = (issue for issue in self.issues.values() if issue.project_id == project_id)
        return next((issue for issue in mine if issue.sequence_id == sequence_id), None)

    def key_of(self, issue: Issue) -> str:
        """The key as people write it, such as RIG-12."""
        return f"{self.projects[issue.project_id].identifier}-{issue.sequence_id}"

    def comments_of(self, issue_id: str) -> list[Comment]:
        """An issue's comments, newest first as Plane lists them."""
        return [comment for comment in reversed(self.comments.values()) if comment.issue_id == issue_id]

    def forget_issue(self, issue_id: str) -> None:
        """Remove an issue and everything that hangs on it."""
        del self.issues[issue_id]
        self.comments = {key: one for key, one in self.comments.items() if one.issue_id != issue_id}
        self.links = {key: one for key, one in self.links.items() if one.issue_id != issue_id}
        self.activities = [one for one in self.activities if one.issue_id != issue_id]
        self.relations = [one for one in self.relations if issue_id not in (one.issue_id, one.related_id)]


def with_external(rows: Iterable[Any], source: str | None, external_id: str | None) -> Any | None:
    """The row with this external pair; None unless both are given."""
    if not source or not external_id:
        return None
    return next((row for row in rows if (row.external_source, row.external_id) == (source, external_id)), None)
