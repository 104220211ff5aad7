"""Every change to issues and comments, whether it came by REST or by a person's hand: it changes the world, tells the
webhooks, and leaves the history to be written a moment later, as Plane's worker does.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from conveyor.simulator.plane import history, markup, shapes
from conveyor.simulator.plane.catalogue import Catalogue
from conveyor.simulator.plane.happenings import Happening
from conveyor.simulator.plane.history import Line
from conveyor.simulator.plane.world import MEMBER, Activity, Comment, Issue, Link, Project, Relation, User, World

WEB_NAMES = {"state": "state_id", "labels": "label_ids", "assignees": "assignee_ids", "parent": "parent_id"}
"""REST names that the web page, and the database behind both, know by another name."""
FIELDS = (
    *("name", "description_html", "state", "priority", "labels", "assignees", "parent", "start_date", "target_date"),
    *("estimate_point", "sort_order", "external_source", "external_id"),
)
"""What a request may set on an issue; anything else is ignored without a word."""
MIRRORED = {"blocking": "blocked_by", "start_after": "start_before", "finish_after": "finish_before"}
SYMMETRIC = ("duplicate", "relates_to")


class Tracker(Catalogue):
    """The rules of change. Nothing here checks permissions or input: REST does."""

    def __init__(self, world: World, tell: Callable[[Happening], None]) -> None:
        super().__init__(world, tell)
        self._afterthoughts: deque[Callable[[], None]] = deque()
        self._held = False

    # --- the worker that writes history -----------------------------------------------------------------------------

    def settle(self) -> None:
        """Let the worker run: history is written and each touched issue's `updated_at` moves by itself."""
        while self._afterthoughts and not self._held:
            self._afterthoughts.popleft()()

    def hold_history(self) -> None:
        """Stop the worker that writes history: webhooks go out, activities stay away, as on a busy server."""
        self._held = True

    def release_history(self) -> None:
        """Start it again and write what waits."""
        self._held = False
        self.settle()

    def _later(self, issue: Issue, by: User, lines: Iterable[Line] = ()) -> None:
        self._afterthoughts.append(lambda: self._write(issue, by, list(lines)))

    def _write(self, issue: Issue, by: User, lines: list[Line]) -> None:
        if issue.id not in self.world.issues:
            return
        clock = self.world.clock
        for line in lines:
            activity = Activity(
                clock.now(), clock.now(), by.id, issue_id=issue.id, project_id=issue.project_id, **line._asdict()
            )
            self.world.activities.append(activity)
        issue.updated_at = clock.now()

    # --- issues -----------------------------------------------------------------------------------------------------

    def create_issue(self, project: Project, values: dict[str, Any], by: User, author_id: str | None = None) -> Issue:
        """A new issue from REST values; without a state it gets the project's default one."""
        world, now = self.world, self.world.clock.now()
        default = next(state for state in world.states_of(project.id) if state.default)
        project.last_sequence_id += 1
        issue = Issue(
            now,
            now,
            author_id or by.id,
            project_id=project.id,
            sequence_id=project.last_sequence_id,
            name=values["name"],
            state_id=default.id,
            sort_order=self._bottom(values.get("state", default.id)),
        )
        self._apply(issue, values)
        world.issues[issue.id] = issue
        if not issue.is_draft:
            self._tell(Happening("issue", "created", issue.id, by))
        self._later(issue, by, [history.CREATED])
        return issue

    def _bottom(self, state_id: str) -> float:
        """The sort order below everything else in a state."""
        orders = [issue.sort_order for issue in self.world.issues.values() if issue.state_id == state_id]
        return max(orders) + 10000.0 if orders else 65535.0

    def change_issue(self, issue: Issue, values: dict[str, Any], by: User, *, web: bool = False) -> None:
        """Apply REST values and tell one happening per value that differs from what stood there before.

        `web` names the fields as the web page does (`state_id`), else as REST does (`state`).
        """
        known = {name: value for name, value in values.items() if name in FIELDS}
        before = shapes.issue(issue, self.world)
        self._apply(issue, known)
        issue.updated_by = by.id
        issue.updated_at = self.world.clock.now()
        lines: list[Line] = []
        for name, value in known.items():
            if value == before[name]:
                continue
            field = WEB_NAMES.get(name, name) if web else name
            self._tell(Happening("issue", "updated", issue.id, by, field, before[name], value))
            lines += history.lines(self.world, name, before[name], value)
        self._later(issue, by, lines)

    def _apply(self, issue: Issue, values: dict[str, Any]) -> None:
        for name, value in values.items():
            if name in FIELDS:
                setattr(issue, WEB_NAMES.get(name, name), self._kept(issue, name, value))
        done = self.world.states[issue.state_id].group == "completed"
        issue.completed_at = self.world.clock.now() if done else None

    def _kept(self, issue: Issue, name: str, value: Any) -> Any:
        """What Plane makes of a value: cleaned HTML; lists in its own order, strangers dropped without a word."""
        project = self.world.projects[issue.project_id]
        if name == "description_html":
            return markup.cleaned(value)
        if name == "labels":
            return [label.id for label in self.world.labels_of(project.id) if label.id in value]
        if name == "assignees":
            return [one for one in self.world.users if one in value and project.members.get(one, 0) >= MEMBER]
        return value

    def delete_issue(self, issue: Issue) -> None:
        """Gone, and nobody is told: Plane sends no webhook for it."""
        self.world.forget_issue(issue.id)

    def archive_issue(self, issue: Issue, by: User) -> None:
        """Out of every list, readable by nobody, without a webhook; a PATCH still works and is told."""
        issue.archived_at = self.world.clock.now().date().isoformat()
        self._later(issue, by, [Line("archived_at", "Actor has archived the issue", None, "archive")])

    # --- comments and relations -------------------------------------------------------------------------------------

    def create_comment(self, issue: Issue, values: dict[str, Any], by: User, author_id: str | None = None) -> Comment:
        """A new comment, its HTML kept as it came; who claims another author still stands in it as its actor."""
        world = self.world
        updated_at = world.clock.now()
        comment = Comment(
            world.clock.now(),
            updated_at,
            author_id or by.id,
            issue_id=issue.id,
            project_id=issue.project_id,
            actor_id=by.id,
            comment_html=values.get("comment_html", "<p></p>"),
            access=values.get("access", "INTERNAL"),
            external_source=values.get("external_source"),
            external_id=values.get("external_id"),
        )
        world.comments[comment.id] = comment
        self._tell(Happening("issue_comment", "created", comment.id, by))
        self._later(issue, by)
        return comment

    def edit_comment(self, comment: Comment, html: str, by: User, *, web: bool = False) -> None:
        """New text; the author stays who wrote it first, and only the web page sets `edited_at`."""
        before, comment.comment_html = comment.comment_html, html
        comment.updated_by = by.id
        if web:
            comment.edited_at = self.world.clock.now()
        comment.updated_at = self.world.clock.now()
        if html != before:
            self._tell(Happening("issue_comment", "updated", comment.id, by, "comment_html", before, html))
        self._later(self.world.issues[comment.issue_id], by)

    def delete_comment(self, comment: Comment, by: User) -> None:
        """Gone without a webhook."""
        del self.world.comments[comment.id]
        self._later(self.world.issues[comment.issue_id], by)

    def create_link(self, issue: Issue, title: str, url: str, by: User) -> Link:
        """Hang an address on an issue; nobody is told, but its history tells."""
        now, place = self.world.clock.now(), {"issue_id": issue.id, "project_id": issue.project_id}
        link = Link(now, self.world.clock.now(), by.id, **place, title=title, url=url, updated_by=by.id)
        self.world.links[link.id] = link
        self._later(issue, by, [Line("link", "created a link", None, url, verb="created")])
        return link

    def relate(self, issue: Issue, kind: str, others: list[Issue], by: User) -> list[Relation]:
        """`issue` is `kind` each of the others. Told to nobody; the same twice is once."""
        stored = MIRRORED.get(kind, kind)
        made = []
        for other in others:
            one, two = (other, issue) if kind in MIRRORED else (issue, other)
            made.append(self._related(one, stored, two, by))
            self._later(issue, by, [history.related(kind, other, self.world.key_of(other))])
            self._later(other, by, [history.related(_mirror(kind), issue, self.world.key_of(issue))])
        return made

    def _related(self, issue: Issue, kind: str, other: Issue, by: User) -> Relation:
        wanted = (issue.id, other.id, kind)
        for relation in self.world.relations:
            if (relation.issue_id, relation.related_id, relation.kind) == wanted:
                return relation
        now = self.world.clock.now()
        relation = Relation(now, now, by.id, *wanted, updated_by=by.id)
        self.world.relations.append(relation)
        return relation


def _mirror(kind: str) -> str:
    """The same relation seen from the other side."""
    there = {**MIRRORED, **{stored: asked for asked, stored in MIRRORED.items()}}
    return there.get(kind, kind)
