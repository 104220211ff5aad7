"""What no capture shows: unsigned, old, foreign and broken deliveries, and events too new to have been captured."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from conveyor.adapters.gitea import webhook as gitea
from conveyor.adapters.gitea.hook_contents import PullChange, Push, RefChange, Status, WorkflowRun
from conveyor.adapters.plane import webhook as plane
from conveyor.contracts.errors import MessageError

VECTOR = b'{\n  "ref": "refs/heads/main"\n}'
VECTOR_HEX = "e05e3b315282b23938d3199e60a7493fab14cd10760525a312981533681c3bcf"
REPO: dict[str, Any] = {"repository": {"full_name": "acme/app"}, "sender": {"id": 3, "login": "ada"}}
ACTOR = {"id": "u1", "display_name": "Ada"}


def from_gitea(event_type: str, body: dict[str, Any], **headers: str) -> gitea.GiteaDelivery:
    named = {"X-Gitea-Event": event_type, "X-Gitea-Event-Type": event_type} | headers
    return gitea.parse(named, json.dumps(REPO | body).encode())


def from_plane(body: dict[str, Any]) -> plane.PlaneDelivery:
    return plane.parse({"X-Plane-Event": "issue"}, json.dumps(body).encode())


def issue(**changes: Any) -> dict[str, Any]:
    data = {
        "id": "i1",
        "project": "p1",
        "sequence_id": 4,
        "name": "Door",
        "state": {"id": "s1", "name": "Approved", "group": "started"},
        "created_at": "2026-11-20T07:49:59Z",
        "updated_at": "2026-11-20T07:49:59Z",
    }
    activity = {"field": "state", "old_value": "s0", "new_value": "s1", "actor": ACTOR}
    return {"event": "issue", "action": "updated", "webhook_id": "w", "data": data | changes, "activity": activity}


@pytest.mark.parametrize("verify", [gitea.verify, plane.verify])
def test_both_of_two_secrets_are_good_and_an_empty_one_signs_nothing(verify: Any) -> None:
    assert verify(VECTOR, VECTOR_HEX, ["s3cr3t"])
    assert verify(VECTOR, VECTOR_HEX, ["new", "s3cr3t"])
    assert verify(VECTOR, VECTOR_HEX, ["s3cr3t", "new"])
    assert not verify(VECTOR, VECTOR_HEX, ["new", "old"])
    assert not verify(VECTOR, VECTOR_HEX, [])
    empty = "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"  # HMAC-SHA256 of b"" with an empty key
    assert not verify(b"", empty, [""])


@pytest.mark.parametrize("verify", [gitea.verify, plane.verify])
@pytest.mark.parametrize("signature", ["", " ", "sha256=", "é", VECTOR_HEX[:-1], VECTOR_HEX + "0", "\ud800"])
def test_a_signature_that_is_none_is_refused(verify: Any, signature: str) -> None:
    assert not verify(VECTOR, signature, ["s3cr3t"])


def test_only_gitea_takes_a_prefix() -> None:
    assert gitea.verify(VECTOR, "sha256=" + VECTOR_HEX, ["s3cr3t"])
    assert not plane.verify(VECTOR, "sha256=" + VECTOR_HEX, ["s3cr3t"])


def test_the_raw_bytes_are_signed_and_not_what_they_mean() -> None:
    assert not gitea.verify(json.dumps(json.loads(VECTOR)).encode(), VECTOR_HEX, ["s3cr3t"])


@pytest.mark.behaviour("GW-1")
def test_an_unsigned_delivery_of_gitea_has_empty_headers() -> None:
    """It is refused without being read, so it must be known by the headers alone."""
    for prefix in ("sha256=", "SHA256=", "sha256= ", ""):
        headers = {"X-Gitea-Signature": "", "X-Hub-Signature-256": prefix}
        assert gitea.signature_of(headers) == ""
    assert gitea.signature_of({}) == plane.signature_of({}) == ""
    assert gitea.signature_of({"X-Gitea-Signature": VECTOR_HEX, "X-Hub-Signature-256": "sha256="}) == VECTOR_HEX
    assert gitea.signature_of({"X-Hub-Signature-256": f"sha256={VECTOR_HEX}"}) == VECTOR_HEX


def test_githubs_own_delivery_is_not_taken_for_giteas() -> None:
    with pytest.raises(MessageError, match="X-Gitea-Event"):
        gitea.parse({"X-GitHub-Event": "push"}, b"{}")


@pytest.mark.parametrize(
    "headers", [{"X-Gitea-Event": "", "X-Gitea-Event-Type": "status"}, {"X-Gitea-Event": "status"}]
)
def test_a_status_is_read_where_one_of_the_two_event_headers_is_missing(headers: dict[str, str]) -> None:
    body = {
        "sha": "4f1c",
        "context": "ci/build",
        "state": "success",
        "created_at": "2026-07-01T10:00:00Z",
        "commit": {},
    }
    content = gitea.parse(headers, json.dumps(REPO | body).encode()).content
    at = datetime(2026, 7, 1, 10, tzinfo=UTC)
    expected = Status(sha="4f1c", context="ci/build", state="success", description="", target_url="", at=at)
    assert content == expected


def test_a_workflow_run_of_a_pull_request_names_no_branch() -> None:
    run = {"id": 77, "head_sha": "4f1c", "status": "completed", "conclusion": "success", "run_attempt": 2}
    content = from_gitea("workflow_run", {"action": "completed", "workflow_run": run}).content
    assert isinstance(content, WorkflowRun)
    assert (content.run, content.attempt, content.branch, content.conclusion) == (77, 2, "", "success")


def test_forgejos_full_branch_names_are_cut_short() -> None:
    content = from_gitea("create", {"ref": "refs/heads/agent/x", "ref_type": "branch", "sha": "4f1c"}).content
    assert content == RefChange(name="agent/x", is_branch=True, is_created=True, sha="4f1c")


def test_a_tags_push_names_no_branch() -> None:
    body = {"ref": "refs/tags/v1", "before": "0" * 40, "after": "4f1c"}
    assert from_gitea("push", body).content == Push(branch="", before="", after="4f1c")


def test_a_pull_requests_branch_is_known_after_it_was_deleted() -> None:
    side = {"ref": "refs/pull/12/head", "label": "agent/x", "sha": "4f1c"}
    pull = {
        "number": 12,
        "title": "T",
        "state": "closed",
        "merged": True,
        "merged_at": "2026-07-01T10:05:00Z",
        "merge_commit_sha": "9ab0",
        "head": side,
        "base": {"ref": "main", "sha": "9ab0"},
        "updated_at": "2026-07-01T10:06:00Z",
    }
    content = from_gitea("pull_request", {"action": "closed", "pull_request": pull, "review": None}).content
    assert isinstance(content, PullChange)
    assert (content.action, content.head_branch, content.merge_sha) == ("merged", "agent/x", "9ab0")
    assert content.at == datetime(2026, 7, 1, 10, 5, tzinfo=UTC)


def test_an_event_without_a_use_has_no_content() -> None:
    assert from_gitea("release", {"action": "published"}).content is None
    cycle = {"event": "cycle", "action": "updated", "data": {"anything": 1}, "activity": {"actor": ACTOR}}
    assert from_plane(cycle).content is None
    later = {"version": "v2", "event": "workitem.updated", "delivery_id": "d", "data": {}}
    assert (from_plane(later).event, from_plane(later).content) == ("workitem.updated", None)


def test_planes_older_words_and_fields_are_understood() -> None:
    body = issue()
    body["action"], body["activity"]["field"] = "update", "state_id"
    delivery = from_plane(body)
    assert (delivery.action, delivery.field, delivery.new_value) == ("updated", "state", "s1")
    body["activity"] |= {"field": "label_ids", "new_value": ["a", "b"], "old_value": None}
    delivery = from_plane(body)
    assert (delivery.field, delivery.new_value, delivery.old_value) == ("labels", '["a","b"]', "")


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"state": "s1"}, "$.data.state"),
        ({"state": {"id": 1, "name": "x", "group": "y"}}, "$.data.state.id"),
        ({"sequence_id": "four"}, "$.data.sequence_id"),
        ({"sequence_id": 0}, "$.data.sequence_id"),
        ({"id": "../members"}, "$.data.id"),
        ({"project": "p1\n"}, "$.data.project"),
        ({"updated_at": "yesterday"}, "$.data.updated_at"),
        ({"updated_at": "2026-11-20T07:49:59"}, "$.data.updated_at"),
        ({"labels": [{"id": "x"}]}, "$.data.labels[0]"),
    ],
)
def test_a_wrong_field_of_planes_is_named_by_its_path(changes: dict[str, Any], path: str) -> None:
    with pytest.raises(MessageError) as caught:
        from_plane(issue(**changes))
    assert path in str(caught.value)


def test_a_change_without_an_actor_is_refused() -> None:
    body = issue()
    body["activity"]["actor"] = None
    with pytest.raises(MessageError, match=r"\$\.activity"):
        from_plane(body)


def test_a_wrong_field_of_giteas_is_named_by_its_path() -> None:
    with pytest.raises(MessageError, match=r"\$\.after"):
        from_gitea("push", {"ref": "refs/heads/main", "before": "a", "after": 7})
    with pytest.raises(MessageError, match="repository"):
        gitea.parse({"X-Gitea-Event": "push"}, b'{"ref": "refs/heads/main", "before": "a", "after": "b"}')


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"event": 1}'])
def test_what_is_no_delivery_is_refused(body: bytes) -> None:
    with pytest.raises(MessageError):
        plane.parse({}, body)
    with pytest.raises(MessageError):
        gitea.parse({"X-Gitea-Event": "push"}, body)
