"""What captured deliveries of real servers become: the event, or the reason why there is none."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from conveyor.contracts.events import (
    BranchPushed,
    CommentAdded,
    IssueChanged,
    IssueStarted,
    Origin,
    PullRequestAction,
    PullRequestChanged,
    ReviewSubmitted,
    ReviewValue,
)
from conveyor.contracts.observed import TrackerState
from conveyor.contracts.project import Project
from conveyor.gateway.app.gitea_source import told_by_gitea
from conveyor.gateway.app.plane_source import told_by_plane
from conveyor.gateway.core.admit import admit
from conveyor.gateway.core.drafts import Draft, Ignored, IgnoredKind
from conveyor.gateway.core.registry import Registry, Situation

GOLDEN = Path(__file__).parent / "golden"
DELIVERIES = sorted(
    path for path in (*GOLDEN.glob("plane/*.json"), *GOLDEN.glob("gitea/*.json")) if path.name[:2] != "13"
)
"""130 and 131 are a hand-made body that no Plane would send."""
REGISTRY = Registry(
    [
        Project(
            name="rig",
            tracker_project_id="9e8e905c-3731-480a-a165-a731e7e1b94b",
            identifier="RIG",
            repository="orch/demo",
        )
    ]
)
BOT = "7985ab73-d7da-4a17-89c4-d54a98cca425"
IN_PROGRESS = TrackerState(state_id="a97f7d10-0f89-4c4e-94a3-c8a1d02843ef", name="In Progress", group="started")
NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


def plane(name: str, *, own_id: str = "somebody-else") -> Draft | Ignored:
    (path,) = (GOLDEN / "plane").glob(f"{name}-*.json")
    capture = json.loads(path.read_text(encoding="utf-8"))
    told = told_by_plane(capture["headers"], capture["body"].encode())
    situation = Situation(received_at=NOW, delivery_id="d", own_id=own_id, states=(IN_PROGRESS,))
    return admit(told, REGISTRY, situation)


def gitea(name: str, *, own_id: str = "somebody-else") -> Draft | Ignored:
    """The captures know other branch names than ours; theirs are renamed."""
    capture = json.loads((GOLDEN / "gitea" / f"{name}-1.json").read_text(encoding="utf-8"))
    body = capture["body"].replace("agent/task-1", "feature/RIG-1-task").replace("agent/empty", "feature/RIG-2-empty")
    told = told_by_gitea(capture["headers"], body.encode())
    return admit(told, REGISTRY, Situation(received_at=NOW, delivery_id="d", own_id=own_id))


def event_of(answer: Draft | Ignored) -> object:
    assert isinstance(answer, Draft), answer
    return answer.event


@pytest.mark.parametrize("path", DELIVERIES, ids=lambda path: path.stem)
def test_every_captured_delivery_is_read_and_has_one_meaning(path: Path) -> None:
    capture = json.loads(path.read_text(encoding="utf-8"))
    read = told_by_plane if path.parent.name == "plane" else told_by_gitea
    told = read(capture["headers"], capture["body"].encode())
    situation = Situation(received_at=NOW, states=(IN_PROGRESS,))
    assert admit(told, REGISTRY, situation) == admit(told, REGISTRY, situation)


@pytest.mark.behaviour("GW-6", "GW-7")
@pytest.mark.parametrize("name", ["020", "051"])
def test_a_move_to_the_start_status_starts_whoever_names_the_field(name: str) -> None:
    """The API says `state`, the web page `state_id`."""
    event = event_of(plane(name))
    assert isinstance(event, IssueStarted)
    assert (event.project, event.source, event.origin, event.delivery_id) == ("rig", "plane", Origin.WEBHOOK, "d")
    assert event.key == {"020": "RIG-1", "051": "RIG-8"}[name]
    assert event.received_at == NOW
    assert event.at < NOW
    assert len(event.trace_id) == 32
    assert event.actor is not None
    assert event.actor.name == {"020": "orchestrator", "051": "human"}[name]


@pytest.mark.behaviour("GW-5")
@pytest.mark.parametrize("name", ["020", "021", "023", "031"])
def test_what_our_own_account_did_is_ignored(name: str) -> None:
    answer = plane(name, own_id=BOT)
    assert isinstance(answer, Ignored)
    assert answer.kind is IgnoredKind.OWN_ACCOUNT


@pytest.mark.behaviour("SE-7")
def test_who_acted_is_the_deliverys_actor_and_not_the_author_a_caller_named() -> None:
    """The bot forged `created_by`; it is still the bot that spoke."""
    answer = plane("036", own_id=BOT)
    assert isinstance(answer, Ignored)
    assert answer.kind is IgnoredKind.OWN_ACCOUNT


@pytest.mark.behaviour("GW-4")
def test_one_change_told_field_by_field_gives_each_fact_once() -> None:
    """A board drag tells `state_id` and `sort_order`; a PATCH of three fields gives three deliveries."""
    drag = plane("053")
    assert isinstance(drag, Ignored)
    assert drag.kind is IgnoredKind.UNUSED_KIND
    renamed = event_of(plane("023"))
    assert isinstance(renamed, IssueChanged)
    assert renamed.fields == ("name",)
    assert renamed.title == "Renamed"
    urgent = event_of(plane("022"))
    assert isinstance(urgent, IssueChanged)
    assert urgent.event_id != renamed.event_id


@pytest.mark.behaviour("GW-6")
def test_labels_and_assignees_are_news_about_the_issue() -> None:
    for name, field in (("025", "labels"), ("027", "assignees"), ("104", "description")):
        event = event_of(plane(name))
        assert isinstance(event, IssueChanged)
        assert event.fields == (field,)


def test_a_move_that_a_later_one_has_overtaken_is_passed_over() -> None:
    """Both deliveries show the issue as it was at last; only one tells how it came there."""
    assert isinstance(plane("090"), Ignored)
    assert isinstance(event_of(plane("091")), IssueStarted)


@pytest.mark.behaviour("GW-6")
def test_a_comment_needs_its_issue_looked_up() -> None:
    answer = plane("059")
    assert isinstance(answer, Draft)
    assert isinstance(answer.event, CommentAdded)
    assert answer.event.text == "ui comment"
    assert not answer.is_complete
    assert answer.issue_id == "eab8ad73-d53d-47e9-b949-454e3f808a1e"


@pytest.mark.behaviour("SE-7")
def test_an_edited_comment_is_no_command() -> None:
    assert isinstance(plane("060"), Ignored)


@pytest.mark.behaviour("GW-5")
def test_another_project_of_the_workspace_is_ignored() -> None:
    answer = plane("101")
    assert isinstance(answer, Ignored)
    assert answer.kind is IgnoredKind.UNKNOWN_PROJECT


@pytest.mark.behaviour("GW-4")
def test_two_attempts_of_one_delivery_are_one_fact() -> None:
    """Plane's delivery id is new with every attempt."""
    capture = json.loads(next((GOLDEN / "plane").glob("051-*.json")).read_text(encoding="utf-8"))
    retried = capture["headers"] | {"X-Plane-Delivery": "another"}
    tales = [told_by_plane(headers, capture["body"].encode()) for headers in (capture["headers"], retried)]
    first = event_of(admit(tales[0], REGISTRY, Situation(received_at=NOW, delivery_id="1", states=(IN_PROGRESS,))))
    later = event_of(admit(tales[1], REGISTRY, Situation(received_at=NOW, delivery_id="2", states=(IN_PROGRESS,))))
    assert isinstance(first, IssueStarted)
    assert isinstance(later, IssueStarted)
    assert (first.event_id, first.trace_id) == (later.event_id, later.trace_id)


@pytest.mark.behaviour("GW-4", "GW-6")
def test_a_new_branch_told_twice_is_one_push() -> None:
    """Gitea sends `create` and `push` for one new branch."""
    created, pushed = event_of(gitea("create")), event_of(gitea("push"))
    assert isinstance(created, BranchPushed)
    assert isinstance(pushed, BranchPushed)
    assert (pushed.key, pushed.branch, pushed.before) == ("RIG-1", "feature/RIG-1-task", "")
    assert created.event_id == pushed.event_id


@pytest.mark.behaviour("GW-6")
@pytest.mark.parametrize(
    ("name", "action", "key"),
    [
        ("pull_request-opened", PullRequestAction.OPENED, "RIG-2"),
        ("pull_request-closed", PullRequestAction.CLOSED, "RIG-2"),
        ("pull_request-closed-merged", PullRequestAction.MERGED, "RIG-1"),
        ("pull_request_sync-synchronized", PullRequestAction.SYNCHRONIZED, "RIG-1"),
    ],
)
def test_a_pull_requests_moves(name: str, action: PullRequestAction, key: str) -> None:
    event = event_of(gitea(name))
    assert isinstance(event, PullRequestChanged)
    assert (event.action, event.key, bool(event.merge_sha)) == (action, key, action is PullRequestAction.MERGED)


@pytest.mark.behaviour("GW-6")
@pytest.mark.parametrize(
    ("name", "review"),
    [
        ("pull_request_review_approved-reviewed", ReviewValue.APPROVED),
        ("pull_request_review_rejected-reviewed", ReviewValue.REJECTED),
        ("pull_request_comment-reviewed", ReviewValue.COMMENTED),
    ],
)
def test_a_review_is_told_by_its_event_type(name: str, review: ReviewValue) -> None:
    event = event_of(gitea(name))
    assert isinstance(event, ReviewSubmitted)
    assert (event.review, event.number, event.key) == (review, 2, "RIG-1")
    assert event.actor is not None
    assert event.actor.name == "reviewer"


@pytest.mark.parametrize("name", ["delete", "pull_request-edited", "pull_request_comment-created"])
def test_what_the_pipeline_does_not_use_is_ignored(name: str) -> None:
    answer = gitea(name)
    assert isinstance(answer, Ignored)
    assert answer.kind is IgnoredKind.UNUSED_KIND
