"""The webhooks of the simulated workspace: who is told what, and how stubbornly, as Plane's worker does it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from uuid import uuid4

from conveyor.simulator.delivery import Courier, Packed, Parcel, Policy
from conveyor.simulator.plane import happenings
from conveyor.simulator.plane.happenings import Happening
from conveyor.simulator.plane.world import World, new_id

ATTEMPTS = 6
EVENTS = frozenset({"project", "issue", "module", "cycle", "issue_comment"})


@dataclass(eq=False)
class Webhook:
    """A subscription of the whole workspace; switched off after six attempts in a row reached nobody."""

    url: str
    secret: str
    events: frozenset[str] = EVENTS
    is_active: bool = True
    id: str = field(default_factory=new_id)


class Webhooks:
    """Turns happenings into parcels for the courier."""

    def __init__(self, world: World, retry_delay_s: float) -> None:
        self.courier = Courier(Policy(attempts=ATTEMPTS, retry_delay_s=retry_delay_s))
        self.hooks: list[Webhook] = []
        self._world = world
        self._quiet: ContextVar[bool] = ContextVar("plane_quiet", default=False)

    @contextmanager
    def quietly(self, quiet: bool = True) -> Iterator[None]:
        """Whatever this task does inside happens without a webhook."""
        token = self._quiet.set(quiet or self._quiet.get())
        try:
            yield
        finally:
            self._quiet.reset(token)

    def tell(self, happening: Happening) -> None:
        """Post one parcel to every active webhook that asked for this event; what an inactive one misses is lost."""
        if self._quiet.get():
            return
        for hook in self.hooks:
            if hook.is_active and happening.event in hook.events:
                self.courier.post(self._parcel(hook, happening))

    def _parcel(self, hook: Webhook, happening: Happening) -> Parcel:
        def pack() -> Packed | None:
            data = happenings.data_of(happening, self._world)
            if data is None or not hook.is_active:
                return None
            body = happenings.encoded(happenings.envelope(happening, hook.id, self._world.workspace_id, data))
            headers = {
                "User-Agent": "Autopilot",
                "Accept": "*/*",
                "Accept-Encoding": "gzip, deflate",
                "Connection": "keep-alive",
                "Content-Type": "application/json",
                "X-Plane-Event": happening.event,
                "X-Plane-Signature": happenings.signature(hook.secret, body),
            }
            return Packed(body, headers)

        def switch_off() -> None:
            hook.is_active = False

        label = happenings.label(happening, self._world)
        return Parcel(label, hook.url, pack, stamp=_delivery_id, gave_up=switch_off)


def _delivery_id() -> dict[str, str]:
    """A new id for every attempt: nobody can know a retry by it."""
    return {"X-Plane-Delivery": str(uuid4())}
