"""Puts the gateway together: the only file here that knows which tracker and forge there are, and how they speak."""

from collections.abc import Mapping

from conveyor.adapters.gitea import GiteaForge
from conveyor.adapters.gitea import webhook as gitea
from conveyor.adapters.gitea.hook_contents import Content, PullChange, Push, RefChange, Review, Status, WorkflowRun
from conveyor.adapters.plane import PlaneTracker
from conveyor.adapters.plane import webhook as plane
from conveyor.contracts import facts_ids
from conveyor.contracts.events import Actor, PullRequestAction
from conveyor.contracts.observed import TrackerState
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
from conveyor.gateway.handlers import OwnAccount
from conveyor.gateway.ports import Source
from conveyor.gateway.settings import Settings
from conveyor.servicekit.secret import Secret

OUR_COMMENTS = "conveyor"
"""The external source that our tracker adapter gives the comments it posts."""
PULL_ACTIONS = frozenset(PullRequestAction)
FIELDS = {"description_html": "description"}


def plane_source(settings: Settings, tracker: PlaneTracker) -> Source:
    """Return Plane as a sender of webhooks."""
    return Source(
        name="plane",
        secrets=_revealed(settings.plane.webhook_secrets),
        signature_of=plane.signature_of,
        verify=plane.verify,
        read=told_by_plane,
        delivery_id_of=lambda headers: headers.get(plane.DELIVERY_HEADER, ""),
        own_id=OwnAccount(settings.plane.bot_user_id, tracker.me),
    )


def gitea_source(settings: Settings, forge: GiteaForge) -> Source:
    """Return Gitea as a sender of webhooks."""
    return Source(
        name="gitea",
        secrets=_revealed(settings.gitea.webhook_secrets),
        signature_of=gitea.signature_of,
        verify=gitea.verify,
        read=told_by_gitea,
        delivery_id_of=lambda headers: headers.get(gitea.DELIVERY_HEADER, ""),
        own_id=OwnAccount(settings.gitea.bot_login, forge.me),
    )


def told_by_plane(headers: Mapping[str, str], body: bytes) -> Told:
    """Return what a delivery of Plane's tells; MessageError for what is none."""
    delivery = plane.parse(headers, body)
    content, what = delivery.content, f"{delivery.event} {delivery.action}"
    if content is None or delivery.actor is None:
        return Other(what=what)
    actor = Actor(actor_id=delivery.actor.actor_id, name=delivery.actor.name)
    if isinstance(content, plane.IssueSnapshot):
        field = FIELDS.get(delivery.field, delivery.field)
        return IssueTold(issue=_issue(content), field=field, new_value=delivery.new_value, actor=actor)
    if isinstance(content, plane.CommentSnapshot) and delivery.action == "created":
        return CommentTold(
            comment_id=content.comment_id,
            issue_id=content.issue_id,
            tracker_project_id=content.project_id,
            text=content.text,
            created_at=content.created_at,
            actor=actor,
            is_ours=content.external_source == OUR_COMMENTS,
        )
    if isinstance(content, plane.Deleted) and delivery.event == "issue":
        return IssueGone(issue_id=content.object_id, actor=actor)
    return Other(what=what)


def _issue(snapshot: plane.IssueSnapshot) -> Issue:
    return Issue(
        issue_id=snapshot.issue_id,
        tracker_project_id=snapshot.project_id,
        number=snapshot.sequence_id,
        title=snapshot.title,
        description=snapshot.description,
        state=TrackerState(state_id=snapshot.state_id, name=snapshot.state_name, group=snapshot.state_group),
        state_key=snapshot.state_key,
        created_at=snapshot.created_at,
        updated_at=snapshot.updated_at,
    )


def told_by_gitea(headers: Mapping[str, str], body: bytes) -> Told:
    """Return what a delivery of Gitea's tells; MessageError for what is none."""
    delivery = gitea.parse(headers, body)
    if delivery.content is None:
        return Other(what=delivery.event_type)
    actor = Actor(actor_id=delivery.sender, name=delivery.sender)
    told = _of_code(delivery.content, delivery.repository, actor) or _of_ci(
        delivery.content, delivery.repository, actor
    )
    return told or Other(what=delivery.event_type)


def _of_code(content: Content, repository: str, actor: Actor) -> Told | None:
    """Return what is told of branches, pull requests and reviews; None for anything else."""
    match content:
        case Push(branch=branch, before=before, after=after) if branch and after:
            if before == after:
                return Other(what="a test of the webhook", is_test=True)
            return PushTold(repository=repository, branch=branch, before=before, sha=after, actor=actor)
        case RefChange(is_branch=True, is_created=True):
            return PushTold(repository=repository, branch=content.name, before="", sha=content.sha, actor=actor)
        case PullChange():
            pull = _pull(content, repository, actor)
            return pull if content.action in PULL_ACTIONS else Other(what=f"pull request {content.action}")
        case Review():
            pull = _pull(content.pull, repository, actor)
            return ReviewTold(pull=pull, review=content.verdict, text=content.text)
        case _:
            return None


def _of_ci(content: Content, repository: str, actor: Actor) -> Told | None:
    """Return what CI says of a commit; None for anything else."""
    match content:
        case Status():
            return StatusTold(
                event_id=facts_ids.commit_status(repository, content.sha, content.context, content.state, content.at),
                repository=repository,
                sha=content.sha,
                context=content.context,
                state=content.state,
                at=content.at,
                actor=actor,
            )
        case WorkflowRun(action="completed"):
            return StatusTold(
                event_id=facts_ids.workflow_finished(repository, content.run, content.attempt, content.conclusion),
                repository=repository,
                sha=content.sha,
                context=f"workflow run {content.run}",
                state=content.conclusion,
                at=content.at,
                actor=actor,
                branch=content.branch,
            )
        case _:
            return None


def _pull(change: PullChange, repository: str, actor: Actor) -> PullTold:
    return PullTold(
        repository=repository,
        number=change.number,
        action=change.action,
        branch=change.head_branch,
        head_sha=change.head_sha,
        at=change.at,
        actor=actor,
        merge_sha=change.merge_sha,
        is_foreign=change.is_foreign,
    )


def _revealed(secrets: tuple[Secret, ...]) -> tuple[str, ...]:
    return tuple(secret.reveal() for secret in secrets if secret)
