"""What the forge shows and a waiting task does not: the push, merge or CI result that a lost webhook owed us (RC-3)."""

from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from conveyor.contracts import facts_ids
from conveyor.contracts.events import (
    AnyEvent,
    BranchPushed,
    CommitStatusChanged,
    GateState,
    Origin,
    PullRequestAction,
    PullRequestChanged,
)
from conveyor.contracts.observed import CiState, CiStatus, PullRequest
from conveyor.contracts.project import Project
from conveyor.contracts.task import Task, Waiting

CI_CHECK = "ci_green"


class ForgeView(Struct, frozen=True, kw_only=True):
    """What the forge showed of one task."""

    project: Project
    task: Task
    now: datetime
    head: str = ""
    """The commit its branch stands at; empty when there is none."""
    ci: CiStatus = CiStatus(state=CiState.NONE)
    pull: PullRequest | None = None


def waits_on_forge(task: Task, now: datetime, grace_s: float) -> bool:
    """Whether a task has waited on the forge longer than a webhook may take; costs nothing, so it is asked first."""
    if task.is_over or task.is_escalated or task.waiting is not Waiting.FACTS:
        return False
    return now - (task.since or task.entered_at) >= timedelta(seconds=grace_s)


def missed_on_forge(view: ForgeView) -> AnyEvent | None:
    """Return the one event that moves this task on; None when the forge shows nothing new.

    The most far-reaching comes first: after a merge nobody cares for CI, after a push not for the old commit's.
    """
    return _merge(view) or _push(view) or _ci(view)


def _merge(view: ForgeView) -> PullRequestChanged | None:
    pull, task = view.pull, view.task
    if pull is None or not pull.merged or task.merge_sha:
        return None
    name = facts_ids.pull_request_merged(view.project.repository, pull.number, pull.merge_sha)
    return PullRequestChanged(
        number=pull.number,
        action=PullRequestAction.MERGED,
        head_sha=pull.head_sha,
        merge_sha=pull.merge_sha,
        **_carried(view, name),
    )


def _push(view: ForgeView) -> BranchPushed | None:
    task = view.task
    if not view.head or view.head == task.head:
        return None
    name = facts_ids.branch_pushed(view.project.repository, task.branch, task.head, view.head)
    return BranchPushed(branch=task.branch, sha=view.head, before=task.head, **_carried(view, name))


def _ci(view: ForgeView) -> CommitStatusChanged | None:
    gate = view.task.gate
    if gate is None or gate.check != CI_CHECK or gate.state is not GateState.PENDING:
        return None
    if view.ci.state not in {CiState.GREEN, CiState.RED}:
        return None
    sha, state = view.task.head, str(view.ci.state)
    name = facts_ids.commit_status_missed(view.project.repository, sha, state, gate.gate_id)
    return CommitStatusChanged(sha=sha, context="all contexts", state=state, **_carried(view, name))


def _carried(view: ForgeView, name: str) -> dict[str, Any]:
    return {
        "event_id": name,
        "project": view.project.name,
        "key": view.task.key,
        "at": view.now,
        "received_at": view.now,
        "source": facts_ids.GITEA,
        "origin": Origin.RECONCILER,
        "trace_id": facts_ids.trace_id(name),
    }
