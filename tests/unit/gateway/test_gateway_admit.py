"""What deliveries mean to the gateway, beyond what the captures of real servers show."""

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec import structs

from conveyor.contracts.events import (
    Actor,
    CloseKind,
    CommentAdded,
    CommitStatusChanged,
    IssueClosed,
    IssueStarted,
    VerdictGiven,
    VerdictValue,
    Via,
)
from conveyor.contracts.observed import TrackerState
from conveyor.contracts.project import Project
from conveyor.contracts.task import Task
from conveyor.gateway.core.admit import admit
from conveyor.gateway.core.commits import sole_in_development, with_head
from conveyor.gateway.core.drafts import Draft, Ignored, IgnoredKind
from conveyor.gateway.core.registry import Registry, Situation
from conveyor.gateway.core.told import (
    CommentTold,
    Issue,
    IssueGone,
    IssueTold,
    Other,
    PullTold,
    PushTold,
    ReviewTold,
    StatusTold,
    Told,
)

AT = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
ADA = Actor(actor_id="ada", name="Ada")
BOT = Actor(actor_id="bot", name="Conveyor")
REGISTRY = Registry(
    [
        Project(name="shop", tracker_project_id="p1", identifier="SHOP", repository="acme/shop"),
        Project(name="docs", tracker_project_id="p2", identifier="DOCS", repository="acme/shop"),
    ]
)
STATES = {
    name: TrackerState(state_id=name.lower(), name=name, group=group)
    for name, group in (
        ("Todo", "unstarted"),
        ("To Analyse", "unstarted"),
        ("In Progress", "started"),
        ("Approved", "started"),
        ("Rejected", "cancelled"),
        ("Done", "completed"),
        ("Cancelled", "cancelled"),
    )
}
KEYS = {"Approved": "approved", "Rejected": "rejected"}


def decided(told: Told, states: tuple[TrackerState, ...] = tuple(STATES.values())) -> Draft | Ignored:
    return admit(told, REGISTRY, Situation(received_at=NOW, own_id="bot", states=states))


def issue(state: str, **fields: Any) -> Issue:
    values: dict[str, Any] = {
        "issue_id": "i1",
        "tracker_project_id": "p1",
        "number": 12,
        "title": "A task",
        "description": "Text\nDepends-on: SHOP-1, DOCS-2",
        "state": STATES[state],
        "state_key": KEYS.get(state, ""),
        "created_at": AT,
        "updated_at": AT,
    }
    return Issue(**values | fields)


def moved(state: str, *, actor: Actor = ADA, **fields: Any) -> IssueTold:
    return IssueTold(issue=issue(state, **fields), field="state", new_value=STATES[state].state_id, actor=actor)


def comment(text: str, **fields: Any) -> CommentTold:
    values: dict[str, Any] = {"comment_id": "c1", "issue_id": "i1", "tracker_project_id": "p1", "text": text}
    return CommentTold(**values | {"created_at": AT, "actor": ADA} | fields)


def pull(**fields: Any) -> PullTold:
    values: dict[str, Any] = {"repository": "acme/shop", "number": 3, "action": "opened", "head_sha": "abc", "at": AT}
    return PullTold(**values | {"branch": "feature/SHOP-12-a-task", "actor": ADA} | fields)


def event_of(answer: Draft | Ignored) -> Any:
    assert isinstance(answer, Draft), answer
    return answer.event


def kind_of(answer: Draft | Ignored) -> IgnoredKind:
    assert isinstance(answer, Ignored), answer
    return answer.kind


@pytest.mark.behaviour("SE-5", "SE-15")
def test_a_start_brings_what_the_issue_depends_on() -> None:
    event = event_of(decided(moved("To Analyse")))
    assert isinstance(event, IssueStarted)
    assert (event.key, event.depends_on) == ("SHOP-12", ("SHOP-1", "DOCS-2"))


@pytest.mark.behaviour("SE-5")
def test_in_progress_starts_only_where_the_project_has_no_status_of_its_own() -> None:
    assert kind_of(decided(moved("In Progress"))) is IgnoredKind.UNUSED_KIND
    without = tuple(state for name, state in STATES.items() if name != "To Analyse")
    assert isinstance(event_of(decided(moved("In Progress"), without)), IssueStarted)


@pytest.mark.behaviour("SE-5")
def test_an_issue_created_in_the_start_status_starts() -> None:
    told = IssueTold(issue=issue("To Analyse"), field="", actor=ADA)
    assert isinstance(event_of(decided(told)), IssueStarted)
    assert kind_of(decided(IssueTold(issue=issue("Done"), field="", actor=ADA))) is IgnoredKind.UNUSED_KIND


@pytest.mark.behaviour("GW-5", "GW-6")
def test_an_issue_shown_later_than_its_creation_starts_nothing_by_its_author() -> None:
    """Payloads are packed late: the move that it already shows is somebody else's, perhaps ours."""
    told = IssueTold(issue=issue("To Analyse", is_touched=True), field="", actor=ADA)
    assert kind_of(decided(told)) is IgnoredKind.SUPERSEDED


@pytest.mark.behaviour("SE-7")
def test_a_comment_rewritten_before_it_reached_us_is_nobodys_word() -> None:
    """Anybody may rewrite anybody's comment in Plane, and the delivery still names the author."""
    assert kind_of(decided(comment(":approved:", is_edited=True))) is IgnoredKind.SUPERSEDED


@pytest.mark.behaviour("SE-7")
@pytest.mark.parametrize("name", ["Approved", "Rejected"])
def test_a_verdict_by_status_wins_over_the_statuss_group(name: str) -> None:
    event = event_of(decided(moved(name)))
    assert isinstance(event, VerdictGiven)
    assert (event.verdict, event.via, event.at) == (KEYS[name], Via.STATUS, AT)
    assert event.actor == ADA


@pytest.mark.behaviour("GW-6")
@pytest.mark.parametrize(("name", "how"), [("Done", CloseKind.COMPLETED), ("Cancelled", CloseKind.CANCELLED)])
def test_an_issue_is_closed_by_its_states_group(name: str, how: CloseKind) -> None:
    event = event_of(decided(moved(name)))
    assert isinstance(event, IssueClosed)
    assert event.how is how


@pytest.mark.behaviour("GW-6")
def test_a_deleted_issue_is_closed_once_its_key_is_looked_up() -> None:
    answer = decided(IssueGone(issue_id="i1", actor=ADA))
    assert isinstance(answer, Draft)
    assert (answer.is_complete, answer.issue_id) == (False, "i1")
    assert event_of(answer).how is CloseKind.DELETED


@pytest.mark.behaviour("SE-7", "GW-6")
def test_a_comment_that_opens_with_a_verdict_is_one() -> None:
    event = event_of(decided(comment(":rejected: no tests\nat all")))
    assert isinstance(event, VerdictGiven)
    assert (event.verdict, event.reason, event.via) == (VerdictValue.REJECTED, "no tests\nat all", Via.COMMENT)
    assert isinstance(event_of(decided(comment("I would not say :approved: yet"))), CommentAdded)


@pytest.mark.behaviour("GW-5")
@pytest.mark.parametrize(
    "told",
    [
        moved("To Analyse", actor=BOT),
        moved("Approved", actor=BOT),
        comment(":approved:", actor=BOT),
        comment("an answer", is_ours=True),
        pull(actor=Actor(actor_id="BOT")),
        PushTold(repository="acme/shop", branch="feature/SHOP-12-x", before="", sha="abc", actor=BOT),
    ],
)
def test_nothing_our_own_account_did_becomes_an_event(told: Told) -> None:
    """Else our own comment or status would start a loop. Logins know no case."""
    assert kind_of(decided(told)) is IgnoredKind.OWN_ACCOUNT


def test_ci_that_runs_in_our_name_is_heard_all_the_same() -> None:
    """A workflow's sender is who pushed, and it is we who push."""
    told = StatusTold(repository="acme/shop", sha="abc", context="ci", state="failure", at=None, actor=BOT)
    answer = decided(told)
    assert isinstance(answer, Draft)
    assert isinstance(answer.event, CommitStatusChanged)
    assert (answer.sha, answer.repository, answer.event.at) == ("abc", "acme/shop", NOW)


@pytest.mark.behaviour("GW-5")
@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (moved("To Analyse", tracker_project_id="p9"), IgnoredKind.UNKNOWN_PROJECT),
        (comment("hello", tracker_project_id="p9"), IgnoredKind.UNKNOWN_PROJECT),
        (pull(repository="acme/other"), IgnoredKind.UNKNOWN_PROJECT),
        (pull(branch="main"), IgnoredKind.NO_TASK),
        (pull(branch="feature/OTHER-1-x"), IgnoredKind.NO_TASK),
        (pull(is_foreign=True), IgnoredKind.NO_TASK),
        (Other(what="pull_request_label"), IgnoredKind.UNUSED_KIND),
        (Other(what="a test", is_test=True), IgnoredKind.TEST),
        (IssueTold(issue=issue("Todo"), field="sort_order", actor=ADA), IgnoredKind.UNUSED_KIND),
    ],
)
def test_what_is_not_for_us_is_ignored_with_its_reason(told: Told, kind: IgnoredKind) -> None:
    answer = decided(told)
    assert kind_of(answer) is kind
    assert isinstance(answer, Ignored)
    assert answer.reason


def test_two_projects_of_one_repository_are_told_apart_by_the_branch() -> None:
    assert event_of(decided(pull(branch="feature/DOCS-3-x"))).project == "docs"
    assert event_of(decided(pull(repository="Acme/Shop"))).key == "SHOP-12"


def task(key: str, **fields: Any) -> Task:
    values: dict[str, Any] = {"project": "shop", "key": key, "issue_id": "i", "title": "t", "stage": "development"}
    return Task(**values | {"created_at": AT, "entered_at": AT, "branch": f"feature/{key}-t"} | fields)


@pytest.mark.behaviour("GW-8")
def test_a_commit_belongs_to_the_task_that_stands_there_else_to_the_only_one_in_development() -> None:
    one, two = task("SHOP-1", head="abc"), task("SHOP-2", stage="review", head="def")
    assert with_head([one, two], "def") is two
    assert with_head([one, two], "xyz") is None
    assert sole_in_development([one, two]) is one
    assert sole_in_development([one, task("SHOP-3")]) is None


@pytest.mark.behaviour("GW-4")
def test_a_repository_has_one_name_however_the_forge_spells_it() -> None:
    """The reconciler names the same facts by the configuration's spelling."""
    tolds: list[Any] = [
        PushTold(repository="{}", branch="feature/SHOP-12-x", before="", sha="abc", actor=ADA),
        pull(repository="{}"),
        pull(repository="{}", action="merged", merge_sha="def"),
        ReviewTold(pull=pull(repository="{}"), review="approved", text=""),
        StatusTold(repository="{}", sha="abc", context="ci", state="failure", at=AT, actor=ADA),
        StatusTold(repository="{}", sha="abc", context="ci", state="failure", at=AT, actor=ADA, run=3, attempt=1),
    ]
    names = {
        event_of(decided(in_repository(told, name))).event_id for told in tolds for name in ("acme/shop", "ACME/Shop")
    }
    assert len(names) == len(tolds)


def in_repository(told: Any, repository: str) -> Told:
    if isinstance(told, ReviewTold):
        return structs.replace(told, pull=structs.replace(told.pull, repository=repository))
    return structs.replace(told, repository=repository)  # type: ignore[no-any-return] # whatever it was
