"""Gitea as a sender of webhooks: its deliveries in the words of our core."""

from collections.abc import Mapping

from conveyor.adapters.gitea import GiteaForge
from conveyor.adapters.gitea import webhook as gitea
from conveyor.adapters.gitea.hook_contents import Content, PullChange, Push, RefChange, Review, Status, WorkflowRun
from conveyor.contracts.events import Actor, PullRequestAction
from conveyor.gateway.admission import OwnAccount
from conveyor.gateway.core.told import Other, PullTold, PushTold, ReviewTold, StatusTold, Told
from conveyor.gateway.plausible import plausible
from conveyor.gateway.ports import Source
from conveyor.gateway.settings import Settings

PULL_ACTIONS = frozenset(PullRequestAction)
HEADERS = tuple(name.lower() for name in (gitea.EVENT_HEADER, gitea.EVENT_TYPE_HEADER, gitea.DELIVERY_HEADER))


def gitea_source(settings: Settings, forge: GiteaForge) -> Source:
    """Return Gitea as a sender of webhooks."""
    return Source(
        name="gitea",
        secrets=tuple(secret.reveal() for secret in settings.gitea.webhook_secrets if secret),
        signature_of=gitea.signature_of,
        verify=gitea.verify,
        read=told_by_gitea,
        signature_header=gitea.SIGNATURE_HEADERS[0],
        kept_headers=HEADERS,
        delivery_id_of=gitea.delivery_id_of,
        own_id=OwnAccount(settings.gitea.bot_login, forge.me),
    )


def told_by_gitea(headers: Mapping[str, str], body: bytes) -> Told:
    """Return what a delivery of Gitea's tells; MessageError for what is none."""
    delivery = gitea.parse(headers, body)
    if delivery.content is None:
        return Other(what=delivery.event_type)
    actor = Actor(actor_id=delivery.sender, name=delivery.sender)
    content, repository = delivery.content, delivery.repository
    told = _of_code(content, repository, actor) or _of_ci(content, repository, actor)
    return plausible(told or Other(what=_named(content) or delivery.event_type))


def _named(content: Content) -> str:
    """Return what a delivery tells beyond its type, where that type alone would leave one wondering."""
    if isinstance(content, RefChange) and not content.is_created:
        return f"the {'branch' if content.is_branch else 'tag'} {content.name} was deleted"
    return ""


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
                repository=repository,
                sha=content.sha,
                context=content.context,
                state=content.state,
                at=content.at,
                actor=actor,
            )
        case WorkflowRun(action="completed"):
            return StatusTold(
                repository=repository,
                sha=content.sha,
                context=f"workflow run {content.run}",
                state=content.conclusion,
                at=content.at,
                actor=actor,
                run=content.run,
                attempt=content.attempt,
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
