"""Puts the gateway together: the only file here that knows which tracker and forge there are, and how they speak."""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from conveyor.adapters.gitea import GiteaForge
from conveyor.adapters.gitea import webhook as gitea
from conveyor.adapters.gitea.hook_contents import Content, PullChange, Push, RefChange, Review, Status, WorkflowRun
from conveyor.adapters.plane import PlaneTracker
from conveyor.adapters.plane import webhook as plane
from conveyor.contracts import facts_ids
from conveyor.contracts.errors import ConveyorError, SettingsError, TransientError
from conveyor.contracts.events import Actor, PullRequestAction
from conveyor.contracts.observed import TrackerState
from conveyor.contracts.streams import LOOKUP
from conveyor.gateway.admission import Admission, OwnAccount
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
    Unreadable,
)
from conveyor.gateway.drain import Drain
from conveyor.gateway.figures import Figures
from conveyor.gateway.handlers import Intake
from conveyor.gateway.http import figures_pages
from conveyor.gateway.http.document import describe
from conveyor.gateway.http.webhooks import Door, Doors
from conveyor.gateway.plausible import plausible
from conveyor.gateway.ports import Source
from conveyor.gateway.resolve import Resolver
from conveyor.gateway.settings import Settings
from conveyor.gateway.spool.queue import Spool
from conveyor.gateway.spool.segments import claim
from conveyor.gateway.ways import Ways
from conveyor.servicekit import logs
from conveyor.servicekit.backoff import delays
from conveyor.servicekit.bus import Bucket, Bus, GroupCommit, TaskStore, connect, provision, ready, register
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
GITEA_HEADERS = tuple(name.lower() for name in (gitea.EVENT_HEADER, gitea.EVENT_TYPE_HEADER, gitea.DELIVERY_HEADER))
AT_START_S = 0.5
"""How long a start waits for the bus before it goes on without."""
STREAMS_AT_START_S = 5.0
"""How long it then waits for the streams."""
FIELDS = {"description_html": "description"}


async def start(service: Service, settings: Settings) -> None:
    """Start the gateway inside a service."""
    await build(service, settings)


async def build(service: Service, settings: Settings, clock: Clock = SYSTEM_CLOCK) -> HttpServer:
    """Start the gateway inside a service and return its running HTTP server; SettingsError for what cannot work.

    It starts without the bus as well: until that is there, deliveries wait in the spool.
    """
    check(settings)
    bus = await connect(settings.nats, name="gateway", wait_s=0)
    service.resources.push_async_callback(bus.close)
    service.spawn("bus", bus.watch(service.stopping))
    tracker = PlaneTracker(settings.plane.url, settings.plane.workspace, settings.plane.api_key.reveal())
    service.resources.push_async_callback(tracker.close)
    forge = GiteaForge(settings.gitea.url, settings.gitea.token.reveal())
    service.resources.push_async_callback(forge.close)
    registry, tasks = Registry(settings.project), TaskStore(bus)
    resolver = Resolver(registry=registry, lookup=Bucket(bus, LOOKUP), tracker=tracker, forge=forge, tasks=tasks)
    admission = Admission(registry=registry, tracker=tracker, events=GroupCommit(bus), resolver=resolver)
    sources = (plane_source(settings, tracker), gitea_source(settings, forge))
    metrics = Metrics("gateway")
    figures = Figures(metrics)
    spools = await open_spools(service, settings, sources, figures)
    await attend(service, bus, settings.nats.replicas)
    ways = Ways(admission=admission, spools=spools, is_bus_there=lambda: bus.is_connected)
    for source in sources:
        figures.watch(source.name, spools[source.name], clock)
        drain = Drain(source, ways, figures, clock)
        service.spawn(f"drain-{source.name}", drain.run(service.stopping))
    app = FastAPI(title="Conveyor gateway", version=version("conveyor-gateway"), docs_url=None, redoc_url=None)
    intake = Intake(ways, settings.gateway.answer_within_s, clock)
    max_bytes = settings.gateway.max_body_bytes
    doors = {source.name: Door(source, intake, figures, max_bytes) for source in sources}
    app.router.routes.extend(health_routes(health_of(bus, spools), metrics))
    app.include_router(figures_pages.routes(registry, tasks))
    describe(app, sources)
    server = HttpServer(Doors(doors, app), HttpSettings(host=settings.gateway.host, port=settings.gateway.port))
    await server.start()
    service.resources.push_async_callback(server.stop)
    service.spawn("warm-up", warm_up(sources, tracker, registry), may_end=True)
    logs.get("gateway").info("listening", url=server.url)
    return server


async def open_spools(
    service: Service, settings: Settings, sources: tuple[Source, ...], figures: Figures
) -> dict[str, Spool]:
    """Return every source's spool with what an earlier process left in it; SettingsError when it cannot be had."""
    folder = (service.config_path.parent if service.config_path else Path()) / settings.gateway.spool_dir
    service.resources.callback(os.close, await asyncio.to_thread(claim, folder))
    spools = {}
    for source in sources:
        on_damage = partial(figures.damaged, source.name)
        spools[source.name] = await asyncio.to_thread(
            Spool, folder / source.name, settings.gateway.spool_max_bytes, on_damage
        )
        service.resources.push_async_callback(spools[source.name].close)
    return spools


async def attend(service: Service, bus: Bus, replicas: int) -> None:
    """Make the streams once the bus is there: before this returns if it is there by now, else whenever it comes."""
    try:
        await bus.opened(AT_START_S)
        async with asyncio.timeout(STREAMS_AT_START_S):
            await provision(bus, replicas)
    except (TransientError, TimeoutError) as error:
        logs.get("gateway").warning("starting without the bus: deliveries are spooled", reason=str(error))
        service.spawn("streams", make_streams(service, bus, replicas), may_end=True)
    else:
        service.resources.push_async_callback(await register(bus, "gateway", version("conveyor-gateway")))


async def make_streams(service: Service, bus: Bus, replicas: int) -> None:
    """Make the streams as soon as the bus can be talked to."""
    for wait_s in delays(0.1, 2.0, "streams"):
        try:
            await bus.opened(AT_START_S)
            await provision(bus, replicas)
            break
        except TransientError as error:
            logs.get("gateway").debug("no streams yet", reason=str(error))
        if await told_to_stop(service.stopping, wait_s):
            return
    service.resources.push_async_callback(await register(bus, "gateway", version("conveyor-gateway")))


async def told_to_stop(stopping: asyncio.Event, within_s: float) -> bool:
    """Return after a while, or as soon as the service stops: whether it does."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await stopping.wait()
    return stopping.is_set()


def health_of(bus: Bus, spools: Mapping[str, Spool]) -> Health:
    """Return what readiness means here: the bus is there. Without it the reason says how much waits for it."""
    health = Health()

    async def check_bus() -> str | None:
        try:
            await ready(bus)
        except ConveyorError as error:
            return f"{error}; spool: {sum(spool.depth for spool in spools.values())} deliveries"
        return None

    health.check("bus", check_bus)
    return health


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
        signature_header=plane.SIGNATURE_HEADER,
        kept_headers=(plane.EVENT_HEADER.lower(), plane.DELIVERY_HEADER.lower()),
        delivery_id_of=plane.delivery_id_of,
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
        signature_header=gitea.SIGNATURE_HEADERS[0],
        kept_headers=GITEA_HEADERS,
        delivery_id_of=gitea.delivery_id_of,
        own_id=OwnAccount(settings.gitea.bot_login, forge.me),
    )


def told_by_plane(headers: Mapping[str, str], body: bytes) -> Told:
    """Return what a delivery of Plane's tells; MessageError for what is none."""
    return plausible(_of_plane(plane.parse(headers, body)))


def _of_plane(delivery: plane.PlaneDelivery) -> Told:
    if "." in delivery.event:  # Plane's later webhooks name their events so; ours have no dot
        return Unreadable(why=f"Plane webhooks v2 ({delivery.event}) are not supported, use v1")
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
