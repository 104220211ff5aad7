"""What the forge shows and a task does not: the push, merge, review or CI result that a lost webhook owed us (RC-3)."""

from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct, structs

from conveyor.contracts import facts_ids
from conveyor.contracts.events import (
    Actor,
    AnyEvent,
    BranchPushed,
    CommitStatusChanged,
    GateState,
    PullRequestAction,
    PullRequestChanged,
    ReviewSubmitted,
    ReviewValue,
)
from conveyor.contracts.ids import digest
from conveyor.contracts.observed import CiState, CiStatus, PullRequest, Review
from conveyor.contracts.project import Project
from conveyor.contracts.task import Task, Waiting
from conveyor.reconciler.core.carried import ENGINE, republished

CI_CHECK = "ci_green"
REVIEW_CHECK = "review_approved"
_AT_REST = frozenset({Waiting.FACTS, Waiting.PERSON, Waiting.ANSWER})
"""Nobody of ours pushes meanwhile, so whatever moves the branch is news."""
_NEWS = {GateState.PENDING: {CiState.GREEN, CiState.RED}, GateState.REJECTED: {CiState.GREEN}}
"""What CI may say now that the gate, by what it found, has not heard."""


class Questions(Struct, frozen=True, kw_only=True):
    """What is asked of the forge about one task; each is a call."""

    head: bool = False
    ci: bool = False
    pull: bool = False
    reviews: bool = False
    search: bool = False
    """Whether there is an open pull request that the task does not know."""

    @property
    def anything(self) -> bool:
        """Whether the forge is asked at all."""
        return self.count > 0

    @property
    def count(self) -> int:
        """How many calls it takes."""
        return sum((self.head, self.ci, self.pull, self.reviews, self.search))


class ForgeView(Struct, frozen=True, kw_only=True):
    """What the forge showed of one task."""

    project: Project
    task: Task
    now: datetime
    own_login: str = ""
    """Our own account on the forge."""
    head: str = ""
    """The commit its branch stands at; empty when there is none."""
    ci: CiStatus = CiStatus(state=CiState.NONE)
    pull: PullRequest | None = None
    reviews: tuple[Review, ...] = ()
    found: PullRequest | None = None
    """An open pull request from its branch."""


def questions(task: Task, now: datetime, grace_s: float) -> Questions:
    """Return what to ask about a task: nothing where a webhook may still come; costs nothing, so it comes first."""
    if task.is_over or now - (task.since or task.entered_at) < timedelta(seconds=grace_s):
        return Questions()
    waits = task.waiting is Waiting.FACTS and not task.is_escalated
    is_open = not task.merge_sha
    return Questions(
        head=is_open and task.waiting in _AT_REST and (waits or bool(task.head)),
        ci=waits and bool(task.head) and _hears_ci(task),
        pull=is_open and bool(task.pull_request),
        reviews=is_open and bool(task.pull_request) and not task.is_escalated,
        search=is_open and waits and not task.pull_request,
    )


def _hears_ci(task: Task) -> bool:
    return task.gate is not None and task.gate.check == CI_CHECK and task.gate.state in _NEWS


def is_abandoned(pull: PullRequest | None) -> bool:
    """Whether a pull request was closed without a merge: somebody may have opened another in its place."""
    return pull is not None and not pull.is_open and not pull.merged


def missed_on_forge(view: ForgeView) -> tuple[AnyEvent, ...]:
    """Return what the task has not heard, the most far-reaching first; nothing when the forge shows nothing new.

    After a merge nobody cares for CI, after a push not for what was said of the old commit.
    """
    if merged := _merge(view):
        return (merged,)
    if pushed := _push(view):
        return (pushed,)
    found = (_closed(view), _opened(view), *_reviews(view), _ci(view))
    return tuple(event for event in found if event is not None)


def _merge(view: ForgeView) -> PullRequestChanged | None:
    pull, task = view.pull, view.task
    if pull is None or not pull.merged or task.merge_sha:
        return None
    name = facts_ids.pull_request_merged(view.project.repository, pull.number, pull.merge_sha)
    return _pull(view, pull, PullRequestAction.MERGED, name)


def _closed(view: ForgeView) -> PullRequestChanged | None:
    """A pull request closed before a person last acted is what that person knew of: no second alarm."""
    pull, task = view.pull, view.task
    if pull is None or not is_abandoned(pull) or task.is_escalated:
        return None
    if task.last_human_at and pull.closed_at and pull.closed_at <= task.last_human_at:
        return None
    closed = str(pull.closed_at or "")
    name = facts_ids.pull_request_missed(view.project.repository, pull.number, f"closed {closed}", pull.head_sha)
    return _pull(view, pull, PullRequestAction.CLOSED, name)


def _opened(view: ForgeView) -> PullRequestChanged | None:
    found, task = view.found, view.task
    if found is None or found.number <= task.pull_request:
        return None
    name = facts_ids.pull_request_missed(view.project.repository, found.number, "opened", "")
    return _pull(view, found, PullRequestAction.OPENED, name)


def _pull(view: ForgeView, pull: PullRequest, action: PullRequestAction, name: str) -> PullRequestChanged:
    common = _carried(view, name)
    if action is PullRequestAction.CLOSED and pull.closed_at:
        common["at"] = pull.closed_at
    return PullRequestChanged(
        number=pull.number, action=action, head_sha=pull.head_sha, merge_sha=pull.merge_sha, **common
    )


def _push(view: ForgeView) -> BranchPushed | None:
    task = view.task
    if not view.head or view.head == task.head:
        return None
    name = facts_ids.branch_pushed(view.project.repository, task.branch, task.head, view.head)
    return BranchPushed(branch=task.branch, sha=view.head, before=task.head, **_carried(view, name))


def pushed_again(event: AnyEvent, task: Task) -> BranchPushed | None:
    """Return a push under another name, for when the log knows its own; nothing for other events.

    A branch that goes back and forth makes the same move twice, and the log refuses the second.
    """
    if not isinstance(event, BranchPushed):
        return None
    return structs.replace(event, event_id=digest("again", event.event_id, str(task.revision)), source=ENGINE)


def latest_reviews(view: ForgeView) -> dict[str, Review]:
    """Return each person's last word on exactly the task's commit; comments and dismissed reviews are none."""
    said = (review for review in view.reviews if not review.dismissed and review.verdict != ReviewValue.COMMENTED)
    return {review.reviewer: review for review in said if review.commit_id == view.task.head}


def _reviews(view: ForgeView) -> list[ReviewSubmitted]:
    gate, task = view.task.gate, view.task
    hears_approval = task.waiting is Waiting.FACTS and gate is not None and gate.check == REVIEW_CHECK
    return [
        _review(view, review)
        for who, review in latest_reviews(view).items()
        if who != view.own_login
        and task.facts.get(f"review/{who}") != review.verdict
        and (hears_approval or review.verdict == ReviewValue.REJECTED)
    ]


def _review(view: ForgeView, review: Review) -> ReviewSubmitted:
    said = (review.reviewer, review.commit_id, review.text)
    number = view.task.pull_request
    name = facts_ids.review_missed(view.project.repository, number, review.verdict, said)
    common = {**_carried(view, name), "actor": Actor(actor_id=review.reviewer, name=review.reviewer)}
    return ReviewSubmitted(
        number=number,
        review=ReviewValue(review.verdict),
        text=review.text,
        head_sha=review.commit_id,
        **common,
    )


def _ci(view: ForgeView) -> CommitStatusChanged | None:
    task, gate = view.task, view.task.gate
    if gate is None or gate.state is None or not _hears_ci(task) or view.ci.state not in _NEWS[gate.state]:
        return None
    sha, state = task.head, str(view.ci.state)
    name = facts_ids.commit_status_missed(view.project.repository, sha, state, gate.gate_id)
    return CommitStatusChanged(sha=sha, context="all contexts", state=state, **_carried(view, name))


def _carried(view: ForgeView, name: str) -> dict[str, Any]:
    common = republished(name, facts_ids.GITEA, view.now)
    return {"project": view.project.name, "key": view.task.key, "at": view.now, **common}
