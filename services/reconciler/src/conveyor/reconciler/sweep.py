"""What the sweeps share: whom they ask, where what they find goes, and how a failure of one thing stays with it."""

from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager

from msgspec import Struct

from conveyor.contracts.errors import ConveyorError
from conveyor.contracts.events import AnyEvent
from conveyor.contracts.project import Project
from conveyor.reconciler.desk import Desk
from conveyor.reconciler.ports import Events, Forge, Messenger, Notes, Tasks, Tracker
from conveyor.reconciler.report import Report
from conveyor.reconciler.settings import ReconcilerSettings
from conveyor.reconciler.watch import Watch
from conveyor.servicekit import logs
from conveyor.servicekit.clock import Clock


class World(Struct, frozen=True, kw_only=True):
    """Whom the reconciler asks."""

    projects: tuple[Project, ...]
    tracker: Tracker
    forge: Forge
    events: Events
    tasks: Tasks
    notes: Notes
    clock: Clock
    own_user_id: str = ""
    """Our own account at the tracker; empty: asked for."""
    own_login: str = ""
    """Our own account at the forge; empty: asked for."""
    messengers: tuple[Messenger, ...] = ()
    """Who tells people."""
    runners: Callable[[], Awaitable[Collection[str]]] | None = None
    """Who knows which runners are there; None: runs without a runner are not looked for."""
    watch: Watch | None = None
    """Who watches the senders of webhooks."""
    calls: Callable[[], int] = lambda: 0
    """How many calls were made to the tracker so far."""


@contextmanager
def alone(report: Report, what: str) -> Iterator[None]:
    """Let what goes wrong inside stop nothing outside (RC-6); it is counted and told."""
    log = logs.get("reconciler")
    try:
        yield
    except ConveyorError as error:
        report.failed += 1
        log.warning("could not look", what=what, reason=str(error))
    except Exception:  # as in a consume loop: one thing that nobody foresaw must not end the pass
        report.failed += 1
        log.exception("could not look", what=what)


class Sweep:
    """One side of a pass."""

    def __init__(self, world: World, settings: ReconcilerSettings, desk: Desk, *, is_dry: bool) -> None:
        self.world = world
        self.settings = settings
        self.is_dry = is_dry
        self._desk = desk
        self._log = logs.get("reconciler")

    async def publish(self, event: AnyEvent, report: Report) -> bool:
        """Hand one event to the desk; True when it is news."""
        return await self._desk.publish(event, report, is_dry=self.is_dry)
