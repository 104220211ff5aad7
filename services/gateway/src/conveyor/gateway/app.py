"""Puts the gateway together: the only file here that knows which tracker and forge there are, and how they speak."""

from collections.abc import Awaitable, Mapping
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from conveyor.adapters.gitea import GiteaForge
from conveyor.adapters.gitea import webhook as gitea
from conveyor.adapters.gitea.hook_contents import Content, PullChange, Push, RefChange, Review, Status, WorkflowRun
from conveyor.adapters.plane import PlaneTracker
from conveyor.adapters.plane import webhook as plane
from conveyor.contracts import facts_ids
from conveyor.contracts.errors import ConveyorError, SettingsError
from conveyor.contracts.events import Actor, PullRequestAction
from conveyor.contracts.observed import TrackerState
from conveyor.contracts.streams import LOOKUP
from conveyor.gateway.core.registry import Registry
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
from conveyor.gateway.figures import Figures
from conveyor.gateway.handlers import Intake, OwnAccount, World
from conveyor.gateway.http import figures_pages, webhooks
from conveyor.gateway.http.hang_up import RawSend
from conveyor.gateway.ports import Source
from conveyor.gateway.resolve import Resolver
from conveyor.gateway.settings import Settings
from conveyor.servicekit import logs
from conveyor.servicekit.bus import Bucket, EventLog, TaskStore, connect, provision, ready, register
from conveyor.servicekit.clock import SYSTEM_CLOCK, Clock
from conveyor.servicekit.health import Health, HttpServer
from conveyor.servicekit.health import routes as health_routes
from conveyor.servicekit.lifecycle import Service
from conveyor.servicekit.metrics import Metrics
from conveyor.servicekit.secret import Secret
from conveyor.servicekit.sections import HttpSettings

OUR_COMMENTS = "conveyor"
"""The external source that our tracker adapter gives the comments it posts."""
PULL_ACTIONS = frozenset(PullRequestAction)
FIELDS = {"description_html": "description"}


async def start(service: Service, settings: Settings) -> None:
    """Start the gateway inside a service."""
    await build(service, settings)


async def build(service: Service, settings: Settings, clock: Clock = SYSTEM_CLOCK) -> HttpServer:
    """Start the gateway inside a service and return its running HTTP server; SettingsError for what cannot work."""
    check(settings)
    bus = await connect(settings.nats, name="gateway")
    service.resources.push_async_callback(bus.close)
    await provision(bus, settings.nats.replicas)
    service.spawn("bus", bus.watch(service.stopping))
    tracker = PlaneTracker(settings.plane.url, settings.plane.workspace, settings.plane.api_key.reveal())
    service.resources.push_async_callback(tracker.close)
    forge = GiteaForge(settings.gitea.url, settings.gitea.token.reveal())
    service.resources.push_async_callback(forge.close)
    registry, tasks = Registry(settings.project), TaskStore(bus)
    resolver = Resolver(registry=registry, lookup=Bucket(bus, LOOKUP), tracker=tracker, forge=forge, tasks=tasks)
    world = World(registry=registry, tracker=tracker, events=EventLog(bus), resolver=resolver, clock=clock)
    sources = (plane_source(settings, tracker), gitea_source(settings, forge))
    metrics, health = Metrics("gateway"), Health()
    health.check("bus", lambda: ready(bus))
    app = FastAPI(title="Conveyor gateway", openapi_url=None, docs_url=None, redoc_url=None)
    app.router.routes.extend(health_routes(health, metrics))
    intake, max_bytes = Intake(world, settings.gateway), settings.gateway.max_body_bytes
    app.include_router(webhooks.routes(sources, intake, Figures(metrics), max_bytes))
    app.include_router(figures_pages.routes(registry, tasks))
    server = HttpServer(RawSend(app), HttpSettings(host=settings.gateway.host, port=settings.gateway.port))
    await server.start()
    service.resources.push_async_callback(server.stop)
    service.resources.push_async_callback(await register(bus, "gateway", version("conveyor-gateway")))
    service.spawn("warm-up", warm_up(sources, tracker, registry), may_end=True)
    logs.get("gateway").info("listening", url=server.url)
    return server


def check(settings: Settings) -> None:
    """Raise SettingsError unless every source that is let in can also be asked."""
    if settings.plane.webhook_secrets and not (settings.plane.url and settings.plane.api_key):
        raise SettingsError("plane.url and plane.api_key: needed where plane.webhook_secret is set")
    if settings.gitea.webhook_secrets and not (settings.gitea.url and settings.gitea.token):
        raise SettingsError("gitea.url and gitea.token: needed where gitea.webhook_secret is set")


async def warm_up(sources: tuple[Source, ...], tracker: PlaneTracker, registry: Registry) -> None:
    """Ask beforehand what the first deliveries would have to wait for; what fails is asked again when needed."""
    log = logs.get("gateway")
    for source in sources:
        if source.secrets:
            await _tried(source.own_id(), f"own account at {source.name}", log)
    for project in registry.projects if sources[0].secrets else ():
        await _tried(tracker.states(project.tracker_project_id), f"states of {project.name}", log)


async def _tried(question: Awaitable[object], what: str, log: Any) -> None:
    try:
        await question
    except ConveyorError as error:
        log.warning("not known yet", what=what, reason=str(error))


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
            is_edited=content.is_edited,
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
        is_touched=snapshot.is_touched,
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
