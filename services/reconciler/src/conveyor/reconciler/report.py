"""What one pass did: for the log, the figures, the console, and the command that makes one pass."""

from datetime import datetime

from msgspec import Struct

from conveyor.contracts.events import AnyEvent
from conveyor.reconciler.core.losses import Account

LAST = "last_pass"
"""Under which name the last pass is remembered."""


class Report(Struct, kw_only=True):
    """What one pass did; written down for the console (RC-10)."""

    at: datetime
    duration_s: float = 0.0
    calls: int = 0
    """Calls made to tracker and forge."""
    listed: int = 0
    """Issues read from the tracker's lists."""
    looked: int = 0
    """Issues and tasks that needed a closer look."""
    ended: int = 0
    """Tasks passed over because they have ended."""
    guarded: int = 0
    """Tasks that stand still and were left alone because their issue waits for a person or for time (RC-5)."""
    repaired: int = 0
    """Events published that nobody had stored before."""
    by_source: dict[str, int] = {}
    """The same by source: how much each one loses."""
    late_s: dict[str, list[float]] = {}
    """The same by source: how late each came, in seconds, 0 where the source gives no time."""
    duplicates: int = 0
    """Events that were there already."""
    failed: int = 0
    """Projects, issues and tasks that could not be looked at."""
    orphans: list[str] = []
    """Runs whose runner is gone; told, not touched."""
    branches: dict[str, list[str]] = {}
    """Project -> branches of tasks that ended long ago, still on the forge; told, not touched."""
    losses: dict[str, Account] = {}
    """Source -> how many of today's facts came by webhook, and how many only by the reconciler (RC-11)."""
    last_repaired: str = ""
    """The key of the last task that was repaired, in this pass or an earlier one; empty for none yet."""
    last_repaired_at: datetime | None = None
    found: list[AnyEvent] = []
    """What was missing; kept out of what is written down."""
