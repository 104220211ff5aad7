"""Deliveries of every kind that Gitea, Forgejo and Plane are known to send, beside those captured from real servers."""

import json
import re
from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from conveyor.contracts.project import Project
from conveyor.gateway.app.gitea_source import told_by_gitea
from conveyor.gateway.app.plane_source import told_by_plane
from conveyor.gateway.core.admit import admit
from conveyor.gateway.core.drafts import Draft, IgnoredKind
from conveyor.gateway.core.registry import Registry, Situation

GOLDEN = Path(__file__).parent / "golden" / "gitea"
REGISTRY = Registry([Project(name="rig", tracker_project_id="p1", identifier="RIG", repository="orch/demo")])
SITUATION = Situation(received_at=datetime(2026, 11, 20, 9, 0, tzinfo=UTC), own_id="somebody-else")
SHA = "4f1c0000000000000000000000000000000000aa"
ZEROS = "0" * 40
BRANCH = "feature/RIG-1-task"
AROUND = {"repository": {"full_name": "orch/demo"}, "sender": {"login": "ada", "id": 3}}
TIMES = {"created_at": "2026-07-01T10:00:00Z", "updated_at": "2026-07-01T10:00:00Z"}
COMMENT = {"id": 6, "body": "/retry", "user": {"login": "ada"}, **TIMES}
TALK = {"action": "created", "comment": COMMENT, "issue": {"number": 12, "title": "t"}}
RUN = {
    "action": "completed",
    "workflow": {"id": "ci.yml"},
    "workflow_run": {
        "id": 77,
        "head_sha": SHA,
        "head_branch": BRANCH,
        "status": "completed",
        "conclusion": "success",
        "completed_at": "2026-07-01T10:00:00Z",
    },
}
STATUS = {"commit": {"id": SHA}, "context": "ci/build", "description": "ok", "sha": SHA, "state": "success", **TIMES}


def pull(action: str, **more: Any) -> dict[str, Any]:
    """A captured pull request to which something else happened."""
    capture = json.loads((GOLDEN / "pull_request-opened-1.json").read_text(encoding="utf-8"))
    body: dict[str, Any] = deepcopy(json.loads(re.sub(r"agent/[\w-]+", BRANCH, capture["body"])))
    return body | {"action": action} | more


def headers(event: str, event_type: str, *brands: str) -> dict[str, str]:
    """The names of an event as one request carries them: those of every brand at once."""
    names = brands or ("Gitea", "Gogs", "GitHub")
    found = {f"X-{brand}-Event": event for brand in names} | {f"X-{brand}-Event-Type": event_type for brand in names}
    return found | {f"X-{brand}-Delivery": "d" for brand in names} | {"X-Gitea-Hook-Installation-Target-Type": "user"}


def became(body: Mapping[str, Any], event: str, event_type: str, *brands: str) -> str:
    """The event a delivery became, or the kind of reason why it became none."""
    told = told_by_gitea(headers(event, event_type, *brands), json.dumps(AROUND | body).encode())
    answer = admit(told, REGISTRY, SITUATION)
    return type(answer.event).__name__ if isinstance(answer, Draft) else answer.kind


UNUSED = IgnoredKind.UNUSED_KIND
GITEA = [
    ("push", "push", {"ref": f"refs/heads/{BRANCH}", "before": ZEROS, "after": SHA}, "BranchPushed"),
    ("push", "push", {"ref": f"refs/heads/{BRANCH}", "before": SHA, "after": SHA}, IgnoredKind.TEST),
    ("push", "push", {"ref": "refs/tags/v1", "before": SHA, "after": ZEROS}, UNUSED),
    ("create", "create", {"ref": BRANCH, "ref_type": "branch", "sha": SHA}, "BranchPushed"),
    ("create", "create", {"ref": "v1", "ref_type": "tag", "sha": SHA}, UNUSED),
    ("delete", "delete", {"ref": BRANCH, "ref_type": "branch", "pusher_type": "user"}, UNUSED),
    ("delete", "delete", {"ref": "v1", "ref_type": "tag", "pusher_type": "user"}, UNUSED),
    ("pull_request", "pull_request", pull("opened"), "PullRequestChanged"),
    ("pull_request", "pull_request", pull("closed"), "PullRequestChanged"),
    ("pull_request", "pull_request", pull("reopened"), "PullRequestChanged"),
    ("pull_request", "pull_request_sync", pull("synchronized", before=SHA, after=SHA), "PullRequestChanged"),
    ("pull_request", "pull_request", pull("edited", changes={"title": {"from": "x"}}), UNUSED),
    ("pull_request", "pull_request", pull("deleted"), UNUSED),
    ("pull_request", "pull_request_review_request", pull("review_requested", requested_reviewer={"id": 1}), UNUSED),
    ("pull_request", "pull_request_review_request", pull("review_request_removed"), UNUSED),
    ("pull_request", "pull_request_label", pull("label_updated"), UNUSED),
    ("pull_request", "pull_request_label", pull("label_cleared"), UNUSED),
    ("pull_request", "pull_request_assign", pull("assigned"), UNUSED),
    ("pull_request", "pull_request_assign", pull("unassigned"), UNUSED),
    ("pull_request", "pull_request_milestone", pull("milestoned"), UNUSED),
    ("pull_request", "pull_request_milestone", pull("demilestoned"), UNUSED),
    *(
        (
            f"pull_request_{word}",
            f"pull_request_review_{word}",
            pull("reviewed", review={"type": f"pull_request_review_{word}", "content": "text"}),
            "ReviewSubmitted",
        )
        for word in ("approved", "rejected", "comment")
    ),
    ("issue_comment", "pull_request_comment", {**TALK, "is_pull": True, "pull_request": None}, UNUSED),
    ("issue_comment", "pull_request_comment", pull("created") | TALK | {"action": "edited", "is_pull": True}, UNUSED),
    ("issue_comment", "issue_comment", {**TALK, "is_pull": False}, UNUSED),
    ("issue_comment", "issue_comment", {**TALK, "action": "deleted", "is_pull": False}, UNUSED),
    ("issues", "issues", {"action": "opened", "issue": {"number": 1}}, UNUSED),
    ("issues", "issue_label", {"action": "label_updated", "issue": {"number": 1}}, UNUSED),
    ("status", "status", STATUS, "CommitStatusChanged"),
    ("status", "status", {**STATUS, "state": "skipped", "updated_at": "0001-01-01T00:00:00Z"}, "CommitStatusChanged"),
    ("", "status", STATUS, "CommitStatusChanged"),
    ("workflow_run", "workflow_run", RUN, "CommitStatusChanged"),
    ("workflow_run", "workflow_run", {**RUN, "action": "requested"}, UNUSED),
    ("workflow_run", "workflow_run", {**RUN, "action": "in_progress"}, UNUSED),
    ("workflow_job", "workflow_job", {"action": "completed", "workflow_job": {"id": 1}}, UNUSED),
    ("repository", "repository", {"action": "deleted", "organization": {"id": 1}}, UNUSED),
    ("fork", "fork", {"forkee": {"full_name": "a/b"}}, UNUSED),
    ("release", "release", {"action": "published", "release": {"id": 1}}, UNUSED),
    ("wiki", "wiki", {"action": "edited", "page": "Home"}, UNUSED),
    ("package", "package", {"action": "created", "package": {"id": 1}, "repository": None}, UNUSED),
    ("something_new", "something_new", {}, UNUSED),
]


@pytest.mark.behaviour("GW-6")
@pytest.mark.parametrize(
    ("event", "event_type", "body", "expected"), GITEA, ids=[f"{row[1]}-{number}" for number, row in enumerate(GITEA)]
)
def test_every_event_of_giteas_has_one_meaning(
    event: str, event_type: str, body: dict[str, Any], expected: str
) -> None:
    """GitHub's headers stand on the same request, so the event is known by Gitea's own."""
    assert became(body, event, event_type) == expected


@pytest.mark.behaviour("GW-6")
@pytest.mark.parametrize(
    ("event", "body", "expected"),
    [
        ("create", {"ref": f"refs/heads/{BRANCH}", "ref_type": "branch", "sha": SHA}, "BranchPushed"),
        ("delete", {"ref": f"refs/heads/{BRANCH}", "ref_type": "branch"}, UNUSED),
        ("push", {"ref": f"refs/heads/{BRANCH}", "before": ZEROS, "after": SHA}, "BranchPushed"),
        ("action_run_success", {"action": "success", "run": {"commit_sha": SHA, "prettyref": BRANCH}}, UNUSED),
        ("action_run_failure", {"action": "failure", "run": {"commit_sha": SHA}}, UNUSED),
        ("action_run_recover", {"action": "recover", "run": {"commit_sha": SHA}}, UNUSED),
    ],
)
def test_forgejo_is_understood_by_the_headers_it_shares(event: str, body: dict[str, Any], expected: str) -> None:
    """It sends full branch names and adds a brand of its own; its CI has to be polled."""
    assert became(body, event, event, "Forgejo", "Gitea", "Gogs", "GitHub") == expected


def test_a_deletion_is_named_for_who_looks() -> None:
    body = {**AROUND, "ref": BRANCH, "ref_type": "branch"}
    told = told_by_gitea(headers("delete", "delete"), json.dumps(body).encode())
    answer = admit(told, REGISTRY, SITUATION)
    assert not isinstance(answer, Draft)
    assert answer.reason == f"the branch {BRANCH} was deleted"


@pytest.mark.parametrize(
    "event", ["workitem.created", "workitem.updated", "issue", "WebhookScope.ScopeChoices.WORK_ITEM_UPDATED"]
)
def test_planes_later_webhooks_are_answered_with_what_to_do(event: str) -> None:
    """They are documented, not seen yet; the documentation's own samples name events in two ways."""
    body = {
        "version": "v2",
        "delivery_id": "d",
        "event_id": "e",
        "entity_id": "i1",
        "entity_type": "workitem",
        "event": event,
        "webhook_id": "w",
        "workspace_id": "ws",
        "data": {"id": "i1"},
        "previous_attributes": {"state": "None"},
    }
    answer = admit(told_by_plane({"X-Plane-Event": event}, json.dumps(body).encode()), REGISTRY, SITUATION)
    assert not isinstance(answer, Draft)
    assert (answer.kind, answer.reason) == (
        IgnoredKind.UNSUPPORTED,
        f"Plane webhooks v2 ({event}) are not supported, use v1",
    )


@pytest.mark.behaviour("GW-6", "SE-7")
@pytest.mark.parametrize(
    ("action", "expected"), [("created", "VerdictGiven"), ("create", "VerdictGiven"), ("updated", UNUSED)]
)
def test_only_a_new_comment_is_somebodys_word(action: str, expected: str) -> None:
    """Whoever edits a comment is the delivery's actor, whoever wrote it; not every edit leaves a trace in the body."""
    data = {
        "id": "c1",
        "issue": "i1",
        "project": "p1",
        "comment_html": "<p>:approved:</p>",
        "updated_by": None,
        **TIMES,
    }
    body = {"event": "issue_comment", "action": action, "data": data, "activity": {"actor": {"id": "ada"}}}
    answer = admit(told_by_plane({}, json.dumps(body).encode()), REGISTRY, SITUATION)
    assert (type(answer.event).__name__ if isinstance(answer, Draft) else answer.kind) == expected


@pytest.mark.parametrize("event", ["project", "cycle", "module", "cycle_issue", "module_issue", "intake_issue", "user"])
@pytest.mark.parametrize("action", ["created", "updated", "deleted"])
def test_plane_events_without_a_use_are_ignored(event: str, action: str) -> None:
    body = {"event": event, "action": action, "data": {"id": "x"}, "activity": {"actor": {"id": "ada"}}}
    answer = admit(told_by_plane({}, json.dumps(body).encode()), REGISTRY, SITUATION)
    assert not isinstance(answer, Draft)
    assert answer.kind is UNUSED
