"""The webhooks: from here to the gateway, what the forge has registered, and from the forge to the gateway."""

from collections.abc import Sequence

import httpx
from msgspec import Struct

from conveyor.cli.doctor import counts, round_trip
from conveyor.cli.doctor.counts import Counts
from conveyor.cli.doctor.finding import Clipboard, Finding
from conveyor.cli.outside import Forge, Hook
from conveyor.cli.setup.hooks import faults, strangers
from conveyor.contracts.errors import ConveyorError
from conveyor.gateway.settings import GatewaySettings, Settings
from conveyor.servicekit.clock import SYSTEM_CLOCK, Clock

PATIENCE_S = 5.0
ARRIVAL_S = 8.0
"""How long a test delivery may take: Gitea gives up after 5 s, and others may be before it."""
_POLL_S = 0.05
ARRIVED = (("ignored", "test"), ("refused", "bad_signature"), ("refused", "unsigned"))
"""What the gateway counts when the forge's test delivery reaches it: good, another secret, none."""


class Place(Struct, frozen=True, kw_only=True):
    """Where the gateway answers."""

    public: str
    """As the senders reach it; its own address when no public one is set."""
    local: tuple[str, ...]
    """Where it may answer what is not for the public."""


def place_of(settings: GatewaySettings) -> Place:
    """Return where the gateway of this configuration answers, seen from this machine."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "") else settings.host  # noqa: S104 - nothing is bound
    own = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
    public = settings.public_url.rstrip("/")
    return Place(public=public or own, local=(own, public) if settings.port and public else (public or own,))


async def look(settings: Settings, forge: Forge, clock: Clock = SYSTEM_CLOCK) -> list[Finding]:
    """Return how deliveries come in. Sends some of its own and lets the forge send its test: none changes anything."""
    notes, place = Clipboard("webhooks"), place_of(settings.gateway)
    if not settings.gateway.public_url:
        told = "[gateway] public_url is not set, so what was registered for it cannot be looked at"
        notes.warning("public address", told, "set it to where Plane and Gitea reach the gateway")
    async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
        ways = Ways(client, place, clock)
        secrets = {"plane": settings.plane.webhook_secrets, "gitea": settings.gitea.webhook_secrets}
        reached = False
        for source, known in secrets.items():
            if not known:
                notes.of(source).failed("secret", f"[{source}] webhook_secret is not set: nothing is let in", "set it")
                continue
            url = f"{place.public}/webhook/{source}"
            reached = await round_trip.look(client, source, url, known[0].reveal(), notes.of(source)) or reached
        if reached:
            _heard(await ways.counts(), notes.of("plane"))
        if settings.gateway.public_url and settings.gitea.url:
            for repository in dict.fromkeys(project.repository for project in settings.project):
                await _registered(forge, repository, ways, notes.of(repository))
    return notes.findings


class Ways:
    """How to find out what has arrived at the gateway."""

    def __init__(self, client: httpx.AsyncClient, place: Place, clock: Clock) -> None:
        self._client = client
        self._place = place
        self._clock = clock

    @property
    def hook_url(self) -> str:
        """Where the forge's deliveries go."""
        return f"{self._place.public}/webhook/gitea"

    async def counts(self) -> Counts | None:
        """Return what the gateway has counted; None when it does not show it."""
        return await counts.ask(self._client, self._place.local)

    async def arrival(self, before: Counts) -> tuple[str, str] | None:
        """Return what the gateway counted anew of the forge's tests; None when nothing came in time."""
        deadline_s = self._clock.monotonic() + ARRIVAL_S
        while self._clock.monotonic() < deadline_s:
            now = await self.counts() or {}
            for outcome, reason in ARRIVED:
                key = ("gitea", outcome, reason)
                if now.get(key, 0) > before.get(key, 0):
                    return outcome, reason
            await self._clock.sleep(_POLL_S)
        return None


def _heard(found: Counts | None, notes: Clipboard) -> None:
    """Say whether Plane's own deliveries arrive; it can be asked neither what is registered nor for a test."""
    advice = "move any issue in Plane and ask again; `conveyor setup webhooks` tells how to register"
    if found is None:
        notes.skipped("heard of", "the gateway's /metrics cannot be read from here", advice)
    elif number := counts.heard(found, "plane"):
        notes.ok("heard of", f"{number} deliveries have come in since the gateway started")
    else:
        notes.skipped("heard of", "no delivery has come in since the gateway started", advice)


async def _registered(forge: Forge, repository: str, ways: Ways, notes: Clipboard) -> None:
    try:
        hooks = await forge.hooks(repository)
        wrong = faults(hooks, ways.hook_url, (await forge.product()).events)
        if wrong:
            notes.failed("registered", f"{ways.hook_url}: {'; '.join(wrong)}", "run `conveyor setup webhooks`")
        else:
            notes.ok("registered", f"{ways.hook_url} is active and brings all that this server can tell")
        for other in strangers(hooks, ways.hook_url):
            notes.warning("registered", f"{other} is told everything as well", "delete it if no gateway is there")
        await _try(forge, repository, hooks, ways, notes)
    except ConveyorError as error:
        notes.trouble("registered", error, "has the token's account admin rights, and the token write:repository?")


async def _try(forge: Forge, repository: str, hooks: Sequence[Hook], ways: Ways, notes: Clipboard) -> None:
    """Let the forge send its test delivery and see whether the gateway counts it: allow-list, way and secret."""
    hook = next((hook for hook in hooks if hook.url == ways.hook_url and hook.is_active), None)
    before = await ways.counts()
    if hook is None or before is None:
        why = "there is no active webhook" if hook is None else "the gateway's /metrics cannot be read from here"
        notes.skipped("delivered", f"{why}, so a test delivery would prove nothing")
        return
    await forge.try_hook(repository, hook.hook_id)
    came = await ways.arrival(before)
    if came is None:
        told = f"the forge's test delivery did not arrive within {ARRIVAL_S:g} s"
        advice = (
            "is the address reachable from where the forge runs, and allowed by [webhook] ALLOWED_HOST_LIST? The "
            "webhook's page in the forge shows what became of it"
        )
        notes.failed("delivered", told, advice)
    elif came == ARRIVED[0]:
        notes.ok("delivered", "the forge's test delivery arrived, signed with our secret")
    else:
        told = "the forge's test delivery arrived, but is not signed with our secret"
        notes.failed("delivered", told, "run `conveyor setup webhooks --new-secret`")
