"""What the forge's deliveries mean: a push, a pull request's move, a review, or CI's word on a commit."""

from datetime import datetime

from msgspec import Struct

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
from conveyor.contracts.project import Project
from conveyor.gateway.core.carried import carried
from conveyor.gateway.core.drafts import Draft, Ignored, IgnoredKind, about
from conveyor.gateway.core.registry import Registry, Situation
from conveyor.gateway.core.told import PullTold, PushTold, ReviewTold, StatusTold


class Owner(Struct, frozen=True):
    """The task that a branch belongs to."""

    project: Project
    key: str

    @property
    def repository(self) -> str:
        """The repository's name as the project spells it, whatever the delivery does: facts are named by it."""
        return self.project.repository

    def draft(self, event: AnyEvent) -> Draft:
        """Return the event as one of this task."""
        return Draft(event=about(event, self.project.name, self.key))


def push(told: PushTold, registry: Registry, situation: Situation) -> Draft | Ignored:
    """Return the move of a task's branch; the payload has no time of its own, so it happened when we heard of it."""
    owner = _owner(told.repository, told.branch, registry)
    if isinstance(owner, Ignored):
        return owner
    name = facts_ids.branch_pushed(owner.repository, told.branch, told.before, told.sha)
    common = carried(GITEA, name, situation.received_at, told.actor, situation)
    return owner.draft(BranchPushed(branch=told.branch, sha=told.sha, before=told.before, **common))


def pull_request(told: PullTold, registry: Registry, situation: Situation) -> Draft | Ignored:
    """Return the move of a task's pull request; a merge has one name for ever."""
    owner = _owner_of_pull(told, registry)
    if isinstance(owner, Ignored):
        return owner
    if told.action == PullRequestAction.MERGED:
        name = facts_ids.pull_request_merged(owner.repository, told.number, told.merge_sha)
    else:
        name = facts_ids.pull_request_changed(owner.repository, told.number, told.action, told.head_sha, told.at)
    event = PullRequestChanged(
        number=told.number,
        action=PullRequestAction(told.action),
        head_sha=told.head_sha,
        merge_sha=told.merge_sha,
        **carried(GITEA, name, told.at, told.actor, situation),
    )
    return owner.draft(event)


def review(told: ReviewTold, registry: Registry, situation: Situation) -> Draft | Ignored:
    """Return a review of a task's pull request."""
    pull = told.pull
    owner = _owner_of_pull(pull, registry)
    if isinstance(owner, Ignored):
        return owner
    said = (pull.actor.actor_id, pull.head_sha, told.text)
    name = facts_ids.review_submitted(owner.repository, pull.number, told.review, said, pull.at)
    event = ReviewSubmitted(
        number=pull.number,
        review=ReviewValue(told.review),
        text=told.text,
        head_sha=pull.head_sha,
        **carried(GITEA, name, pull.at, pull.actor, situation),
    )
    return owner.draft(event)


def status(told: StatusTold, registry: Registry, situation: Situation) -> Draft | Ignored:
    """Return CI's word on a commit; whose commit it is has to be looked up unless the branch is told (GW-8)."""
    projects = registry.of_repository(told.repository)
    if not projects:
        return _unknown(told.repository)
    at = told.at or situation.received_at
    common = carried(GITEA, _status_name(told, projects[0].repository, at), at, told.actor, situation)
    event = CommitStatusChanged(sha=told.sha, context=told.context, state=told.state, **common)
    if not told.branch:
        return Draft(event=event, repository=told.repository, sha=told.sha)
    owner = _owner(told.repository, told.branch, registry)
    return owner if isinstance(owner, Ignored) else owner.draft(event)


def _status_name(told: StatusTold, repository: str, at: datetime) -> str:
    if told.run:
        return facts_ids.workflow_finished(repository, told.run, told.attempt, told.state)
    return facts_ids.commit_status(repository, told.sha, told.context, told.state, at)


def _owner_of_pull(pull: PullTold, registry: Registry) -> Owner | Ignored:
    if pull.is_foreign:
        return Ignored(IgnoredKind.NO_TASK, "its branch lies in another repository")
    return _owner(pull.repository, pull.branch, registry)


def _owner(repository: str, branch: str, registry: Registry) -> Owner | Ignored:
    if not registry.of_repository(repository):
        return _unknown(repository)
    found = registry.task_of_branch(repository, branch)
    return Owner(*found) if found else Ignored(IgnoredKind.NO_TASK, f"{branch} is no branch of a task")


def _unknown(repository: str) -> Ignored:
    return Ignored(IgnoredKind.UNKNOWN_PROJECT, f"no project is configured for the repository {repository}")
