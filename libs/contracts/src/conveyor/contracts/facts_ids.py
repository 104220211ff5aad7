"""What facts of tracker and forge are called: the one place with the recipes, used by gateway and reconciler alike.

Where a source gives both of them the same parts, a fact has one name whichever way it came, and EVENTS stores it once.
"""

from datetime import datetime

from conveyor.contracts.ids import digest, event_id

PLANE = "plane"
GITEA = "gitea"


def trace_id(fact_id: str) -> str:
    """Return the trace that starts with this fact: 32 hex digits, as W3C trace context has them (GW-7)."""
    return digest("trace", fact_id)


def issue_moved(issue_id: str, state_id: str, at: datetime) -> str:
    """Name a move of an issue into a state, or its creation there.

    A creation is named by `created_at`, which both ways know. A later move is named by the activity's time where the
    activity list was read, by `updated_at` in a webhook: Plane moves `updated_at` itself, so the two may differ.
    """
    return event_id(PLANE, issue_id, "state", state_id, at)


def issue_deleted(issue_id: str) -> str:
    """Name the end of an issue by deletion; it happens once."""
    return event_id(PLANE, issue_id, "deleted", "", None)


def issue_vanished(issue_id: str, since: datetime) -> str:
    """Name the end of an issue that can no longer be read, by the life of the task it ended: an issue may come back."""
    return event_id(PLANE, issue_id, "vanished", "", since)


def issue_edited(issue_id: str, field: str, value: str, at: datetime) -> str:
    """Name a change of any other field of an issue."""
    return event_id(PLANE, issue_id, field, digest(value), at)


def comment_added(comment_id: str) -> str:
    """Name what was said in a comment when it was created; edits are no facts of ours (SE-7)."""
    return event_id(PLANE, comment_id, "comment", "created", None)


def branch_pushed(repository: str, branch: str, before: str, sha: str) -> str:
    """Name the move of a branch from one commit to another; the commit before a new branch is empty or all zeros."""
    start = before.strip("0")
    return event_id(GITEA, f"{repository}:{branch}", "head", f"{before if start else ''}..{sha}", None)


def commit_status(repository: str, sha: str, context: str, state: str, at: datetime) -> str:
    """Name what CI said of one commit in one context at that time: a rerun says the same state again, and is new."""
    return event_id(GITEA, f"{repository}@{sha}", f"status:{context}", state, at)


def commit_status_missed(repository: str, sha: str, state: str, gate_id: str) -> str:
    """Name a combined CI state that the last evaluation did not see; polls give no time, so its id does."""
    return event_id(GITEA, f"{repository}@{sha}", f"missed:{gate_id}", state, None)


def workflow_finished(repository: str, run: int, attempt: int, conclusion: str) -> str:
    """Name the end of one attempt of a workflow run; Gitea may tell it more than once."""
    return event_id(GITEA, f"{repository}/runs/{run}", f"attempt:{attempt}", conclusion, None)


def pull_request_merged(repository: str, number: int, merge_sha: str) -> str:
    """Name the merge of a pull request; it happens once."""
    return event_id(GITEA, f"{repository}#{number}", "merged", merge_sha, None)


def pull_request_changed(repository: str, number: int, action: str, head_sha: str, at: datetime) -> str:
    """Name any other change of a pull request by its head and the time the forge gives."""
    return event_id(GITEA, f"{repository}#{number}", action, head_sha, at)


def pull_request_missed(repository: str, number: int, action: str, head_sha: str) -> str:
    """Name a state of a pull request that the task does not show; polls tell no time of the change."""
    return event_id(GITEA, f"{repository}#{number}", f"missed:{action}", head_sha, None)


def review_missed(repository: str, number: int, review: str, said: tuple[str, str, str]) -> str:
    """Name a review by (reviewer, commit, text) that the task does not show; polls tell no time of it."""
    return event_id(GITEA, f"{repository}#{number}", f"missed:review:{review}", digest(*said), None)


def review_submitted(repository: str, number: int, review: str, said: tuple[str, str, str], at: datetime) -> str:
    """Name a review by (reviewer, head commit, text) and the pull request's time: the webhook has no review id."""
    return event_id(GITEA, f"{repository}#{number}", f"review:{review}", digest(*said), at)
