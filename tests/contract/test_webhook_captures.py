"""Every captured delivery of a real Plane and a real Gitea is verified and read."""

import json
from pathlib import Path

import pytest

from conveyor.adapters.gitea import webhook as gitea
from conveyor.adapters.gitea.hook_contents import Comment, PullChange, Push, RefChange, Review
from conveyor.adapters.plane import webhook as plane
from conveyor.contracts.errors import MessageError

GOLDEN = Path(__file__).parent / "golden"
PLANE_SECRET = "plane_wh_67bf616d31e1404791d8d188b867ee67"
GITEA_SECRET = "s3cr3t"
NO_ISSUES = {"130-attempt1-of-same-event", "131-attempt2-of-same-event"}
"""Made by hand to show that a retry repeats body and signature; no issue stands in them."""
OTHER_HOOKS = {"121-retry-out-of-order", "122-retry-out-of-order", *NO_ISSUES}
"""Sent by other webhooks of the same Plane, whose secrets are not known; their signature must not fit ours."""

Capture = tuple[dict[str, str], bytes]


def captures(folder: str) -> list[Path]:
    return sorted((GOLDEN / folder).glob("*.json"))


def read(path: Path) -> Capture:
    capture = json.loads(path.read_text())
    return capture["headers"], capture["body"].encode()


def plane_delivery(name: str) -> plane.PlaneDelivery:
    return plane.parse(*read(GOLDEN / "plane" / f"{name}.json"))


def gitea_delivery(name: str) -> gitea.GiteaDelivery:
    return gitea.parse(*read(GOLDEN / "gitea" / f"{name}.json"))


def test_the_folders_are_not_empty() -> None:
    assert len(captures("plane")) >= 20
    assert len(captures("gitea")) >= 14


@pytest.mark.parametrize("path", captures("plane"), ids=lambda path: path.stem)
def test_each_plane_capture_is_signed_with_its_own_secret_alone(path: Path) -> None:
    headers, body = read(path)
    signature = plane.signature_of(headers)
    assert plane.verify(body, signature, [PLANE_SECRET]) is (path.stem not in OTHER_HOOKS)
    assert not plane.verify(body + b" ", signature, [PLANE_SECRET])
    assert not plane.verify(body, signature, ["another"])


@pytest.mark.parametrize("path", captures("gitea"), ids=lambda path: path.stem)
def test_each_gitea_capture_is_signed_with_its_secret(path: Path) -> None:
    headers, body = read(path)
    for signature in (headers["X-Gitea-Signature"], headers["X-Hub-Signature-256"], gitea.signature_of(headers)):
        assert gitea.verify(body, signature, [GITEA_SECRET])
        assert not gitea.verify(body + b" ", signature, [GITEA_SECRET])
        assert not gitea.verify(body, signature, ["another"])


@pytest.mark.parametrize("path", captures("plane"), ids=lambda path: path.stem)
def test_each_plane_capture_is_read(path: Path) -> None:
    headers, body = read(path)
    if path.stem in NO_ISSUES:
        with pytest.raises(MessageError, match=r"\$\.data"):
            plane.parse(headers, body)
        return
    delivery = plane.parse(headers, body)
    assert delivery.content is not None
    assert delivery.actor is not None
    assert delivery.actor.actor_id
    assert delivery.delivery_id == headers["X-Plane-Delivery"]
    assert delivery.action in ("created", "updated", "deleted")


@pytest.mark.parametrize("path", captures("gitea"), ids=lambda path: path.stem)
def test_each_gitea_capture_is_read(path: Path) -> None:
    headers, body = read(path)
    delivery = gitea.parse(headers, body)
    assert delivery.content is not None
    assert (delivery.repository, delivery.event) == ("orch/demo", headers["X-Gitea-Event"])
    assert delivery.sender
    assert delivery.delivery_id == headers["X-Gitea-Delivery"]


@pytest.mark.parametrize("path", [*captures("plane"), *captures("gitea")], ids=lambda path: path.stem)
def test_header_names_may_come_in_any_case(path: Path) -> None:
    headers, body = read(path)
    lowered = {name.lower(): value for name, value in headers.items()}
    reader = plane if path.parent.name == "plane" else gitea
    assert reader.signature_of(lowered) == reader.signature_of(headers) != ""
    assert reader.delivery_id_of(lowered) == reader.delivery_id_of(headers) != ""
    if path.stem not in NO_ISSUES:
        assert reader.parse(lowered, body) == reader.parse(headers, body)


@pytest.mark.parametrize("name", ["020-v1-patch-state", "051-ui-patch-state-id"])
def test_a_state_change_reads_alike_from_the_api_and_from_the_page(name: str) -> None:
    delivery = plane_delivery(name)
    assert delivery.field == "state"
    assert isinstance(delivery.content, plane.IssueSnapshot)
    assert delivery.new_value == delivery.content.state_id


def test_an_issue_is_read_with_its_text_and_its_state() -> None:
    delivery = plane_delivery("020-v1-patch-state")
    issue = delivery.content
    assert isinstance(issue, plane.IssueSnapshot)
    assert issue.title == "Première tâche — ünïcode ✓"
    assert issue.description == "Hello world é\n- a"
    assert (issue.state_name, issue.state_group, issue.state_key) == ("In Progress", "started", "in_progress")
    assert (issue.sequence_id, issue.labels, issue.priority) == (1, ("agent",), "high")
    assert issue.updated_at.isoformat() == "2026-11-20T07:51:07.708956+00:00"
    assert delivery.actor == plane.PlaneActor(actor_id="7985ab73-d7da-4a17-89c4-d54a98cca425", name="orchestrator")


def test_who_commented_is_the_actor_and_not_the_author_that_a_caller_set() -> None:
    delivery = plane_delivery("036-v1-comment-createdby-spoof")
    body = json.loads(read(GOLDEN / "plane" / "036-v1-comment-createdby-spoof.json")[1])
    assert delivery.actor is not None
    assert delivery.actor.actor_id == body["activity"]["actor"]["id"] != body["data"]["created_by"]


def test_a_comments_script_is_no_text() -> None:
    comment = plane_delivery("031-v1-comment-create-bot").content
    assert isinstance(comment, plane.CommentSnapshot)
    assert comment.text == "Hi there é"


def test_an_edited_comment_says_so() -> None:
    delivery = plane_delivery("060-ui-comment-edit")
    assert (delivery.action, delivery.field) == ("updated", "comment_html")


def test_a_deleted_project_is_read() -> None:
    delivery = plane_delivery("102-project-deleted")
    assert (delivery.event, delivery.action) == ("project", "deleted")
    assert delivery.content == plane.Deleted(object_id="278e565e-c7a1-4180-b3a6-8a5b6d4e12c1")


def test_attempts_of_one_event_differ_in_their_delivery_id_alone() -> None:
    first, second = (read(GOLDEN / "plane" / f"{name}.json") for name in sorted(NO_ISSUES))
    assert first[1] == second[1]
    assert plane.signature_of(first[0]) == plane.signature_of(second[0])
    assert plane.delivery_id_of(first[0]) != plane.delivery_id_of(second[0])


def test_a_push_of_a_new_branch_has_no_commit_before() -> None:
    push = gitea_delivery("push-1").content
    assert push == Push(branch="agent/task-1", before="", after="9cfca1fe0b6165310f7def48a9dfa7c801d64de9")


def test_branches_come_and_go() -> None:
    made, gone = gitea_delivery("create-1").content, gitea_delivery("delete-1").content
    sha = "9cfca1fe0b6165310f7def48a9dfa7c801d64de9"
    assert made == RefChange(name="agent/task-1", is_branch=True, is_created=True, sha=sha)
    assert gone == RefChange(name="agent/task-1", is_branch=True, is_created=False)


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("pull_request-opened-1", "opened"),
        ("pull_request-edited-1", "edited"),
        ("pull_request-closed-1", "closed"),
        ("pull_request-closed-merged-1", "merged"),
        ("pull_request_sync-synchronized-1", "synchronized"),
    ],
)
def test_a_pull_requests_change_is_named(name: str, action: str) -> None:
    change = gitea_delivery(name).content
    assert isinstance(change, PullChange)
    assert change.action == action
    assert (change.is_open, change.merged) == (action not in ("closed", "merged"), action == "merged")
    assert bool(change.merge_sha) is (action == "merged")
    assert change.head_branch.startswith("agent/")


@pytest.mark.parametrize(
    ("name", "verdict", "text"),
    [
        ("pull_request_review_approved-reviewed-1", "approved", "lgtm"),
        ("pull_request_review_rejected-reviewed-1", "rejected", "please fix"),
        ("pull_request_comment-reviewed-1", "commented", "note"),
    ],
)
def test_a_review_is_read_by_its_verdict(name: str, verdict: str, text: str) -> None:
    review = gitea_delivery(name).content
    assert isinstance(review, Review)
    assert (review.verdict, review.text) == (verdict, text)


def test_one_event_name_with_two_shapes_is_read_by_its_shape() -> None:
    comment, review = (gitea_delivery(f"pull_request_comment-{kind}-1") for kind in ("created", "reviewed"))
    assert comment.event_type == review.event_type == "pull_request_comment"
    assert isinstance(comment.content, Comment)
    assert comment.content.is_pull
    assert isinstance(review.content, Review)
