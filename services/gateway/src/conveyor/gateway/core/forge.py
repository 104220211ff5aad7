"""What the forge's deliveries mean: a push, a pull request's move, a review, or CI's word on a commit."""

from conveyor.contracts import facts_ids
from conveyor.contracts.events import (
    AnyEvent,
    BranchPushed,
    CommitStatusChanged,
    PullRequestAction,
    PullRequestChanged,
    ReviewSubmitted,
    ReviewValue,
)
from conveyor.contracts.facts_ids import GITEA
from conveyor.gateway.core.carried import carried
from conveyor.gateway.core.drafts import Draft, Ignored, IgnoredKind, about
from conveyor.gateway.core.registry import Registry, Situation
from conveyor.gateway.core.told import PullTold, PushTold, ReviewTold, StatusTold


def push(told: PushTold, registry: Registry, situation: Situation) -> Draft | Ignored:
    """Return the move of a task's branch; the payload has no time of its own, so it happened when we heard of it."""
    name = facts_ids.branch_pushed(told.repository, told.branch, told.before, told.sha)
    common = carried(GITEA, name, situation.received_at, told.actor, situation)
    event = BranchPushed(branch=told.branch, sha=told.sha, before=told.before, **common)
    return _on_branch(event, told.repository, told.branch, registry)


def pull_request(told: PullTold, registry: Registry, situation: Situation) -> Draft | Ignored:
    """Return the move of a task's pull request; a merge has one name for ever."""
    if told.is_foreign:
        return _foreign()
    if told.action == PullRequestAction.MERGED:
        name = facts_ids.pull_request_merged(told.repository, told.number, told.merge_sha)
    else:
        name = facts_ids.pull_request_changed(told.repository, told.number, told.action, told.head_sha, told.at)
    event = PullRequestChanged(
        number=told.number,
        action=PullRequestAction(told.action),
        head_sha=told.head_sha,
        merge_sha=told.merge_sha,
        **carried(GITEA, name, told.at, told.actor, situation),
    )
    return _on_branch(event, told.repository, told.branch, registry)


def review(told: ReviewTold, registry: Registry, situation: Situation) -> Draft | Ignored:
    """Return a review of a task's pull request."""
    pull = told.pull
    if pull.is_foreign:
        return _foreign()
    said = (pull.actor.actor_id, pull.head_sha, told.text)
    name = facts_ids.review_submitted(pull.repository, pull.number, told.review, said, pull.at)
    event = ReviewSubmitted(
        number=pull.number,
        review=ReviewValue(told.review),
        text=told.text,
        head_sha=pull.head_sha,
        **carried(GITEA, name, pull.at, pull.actor, situation),
    )
    return _on_branch(event, pull.repository, pull.branch, registry)


def status(told: StatusTold, registry: Registry, situation: Situation) -> Draft | Ignored:
    """Return CI's word on a commit; whose commit it is has to be looked up unless the branch is told (GW-8)."""
    if not registry.of_repository(told.repository):
        return _unknown(told.repository)
    common = carried(GITEA, told.event_id, told.at or situation.received_at, told.actor, situation)
    event = CommitStatusChanged(sha=told.sha, context=told.context, state=told.state, **common)
    if told.branch:
        return _on_branch(event, told.repository, told.branch, registry)
    return Draft(event=event, repository=told.repository, sha=told.sha)


def _on_branch(event: AnyEvent, repository: str, branch: str, registry: Registry) -> Draft | Ignored:
    if not registry.of_repository(repository):
        return _unknown(repository)
    found = registry.task_of_branch(repository, branch)
    if found is None:
        return Ignored(IgnoredKind.NO_TASK, f"{branch} is no branch of a task")
    project, key = found
    return Draft(event=about(event, project.name, key))


def _foreign() -> Ignored:
    return Ignored(IgnoredKind.NO_TASK, "its branch lies in another repository")


def _unknown(repository: str) -> Ignored:
    return Ignored(IgnoredKind.UNKNOWN_PROJECT, f"no project is configured for the repository {repository}")
