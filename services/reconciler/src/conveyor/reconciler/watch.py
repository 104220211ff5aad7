"""Watches the senders: counts what their webhooks lose, tells people when they fail, registers the forge's again."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol

from msgspec import Struct, structs

from conveyor.contracts.commands import Level
from conveyor.contracts.errors import ConveyorError
from conveyor.contracts.events import AnyEvent
from conveyor.reconciler.core.losses import Account, Ledger, alarms, counted, words
from conveyor.reconciler.ports import Messenger, Notes
from conveyor.reconciler.remembered import recall, remember
from conveyor.reconciler.report import Report
from conveyor.servicekit import logs
from conveyor.servicekit.clock import Clock

LEDGER = "losses"


class Log(Protocol):
    """The log of events, read on from where one stopped."""

    def behind(self, seq: int) -> AsyncIterator[tuple[int, AnyEvent]]:
        """Yield what was stored behind a sequence, in order; behind 0, what the last day brought."""


class Hooks(Protocol):
    """The forge's webhooks. PermanentError when our account may not see them."""

    async def ensure_hook(self, repo: str, url: str, secret: str) -> bool:
        """Register the webhook unless an active one is there; True when it had to be made."""


class Door(Struct, frozen=True, kw_only=True):
    """Where the forge's webhooks should lead, and of which repositories."""

    hooks: Hooks
    repositories: tuple[str, ...]
    url: str
    secret: str


class Senders:
    """Both senders of webhooks, as far as they can be watched."""

    def __init__(
        self,
        log: Log,
        notes: Notes,
        messengers: Sequence[Messenger],
        threshold: float,
        asks_about_ci: Callable[[], Awaitable[bool]],
    ) -> None:
        self._events = log
        self._asks_about_ci = asks_about_ci
        self._tells_ci: bool | None = None
        """Whether the forge tells by webhook that CI has finished; None until it could be asked."""
        self._notes = notes
        self._messengers = messengers
        self._threshold = threshold
        self._refused: set[str] = set()
        """Repositories whose webhooks we may not see, which is said once."""
        self._log = logs.get("reconciler")

    async def count(self) -> dict[str, Account]:
        """Count what was stored since the last time, and tell people once of what is wrong; return the accounts."""
        before = ledger = await recall(self._notes, LEDGER, Ledger) or Ledger()
        tells_ci = await self._knows_ci()
        async for seq, event in self._events.behind(ledger.seq):
            ledger = counted(ledger, seq, event, tells_ci=tells_ci)
        found = alarms(ledger, self._threshold)
        for source, kind in found.items():
            if before.alarms.get(source) != kind:
                await self._tell(words(source, kind, ledger.accounts[source]), Level.ALERT)
        ledger = structs.replace(ledger, alarms=found)
        if ledger != before:
            await remember(self._notes, LEDGER, ledger)
        return ledger.accounts

    async def _knows_ci(self) -> bool:
        """Return whether the forge tells of CI; while it cannot be asked, that it does."""
        if self._tells_ci is None:
            try:
                self._tells_ci = await self._asks_about_ci()
            except ConveyorError as error:
                self._log.debug("the forge cannot be asked which one it is", reason=str(error))
        return self._tells_ci is not False

    async def _tell(self, text: str, level: Level) -> None:
        self._log.warning("senders", what=text)
        for messenger in self._messengers:
            try:
                await messenger(text, "", level)
            except ConveyorError as error:
                self._log.warning("nobody was told", reason=str(error))

    async def look_after(self, door: Door) -> None:
        """Register the forge's webhooks again where they are missing, switched off, or hear too little."""
        for repo in door.repositories:
            try:
                if await door.hooks.ensure_hook(repo, door.url, door.secret):
                    text = f"The webhook of {repo} was missing or inactive; it is registered again."
                    await self._tell(text, Level.WARNING)
            except ConveyorError as error:
                log = self._log.debug if repo in self._refused else self._log.warning
                log("the webhook cannot be looked after", repository=repo, reason=str(error))
                self._refused.add(repo)


class Watch:
    """What of the senders is looked at in a pass."""

    def __init__(self, senders: Senders, door: Door | None, every_s: float, clock: Clock) -> None:
        self._senders = senders
        self._door = door
        self._every_s = every_s
        self._clock = clock
        self._due_s = clock.monotonic()

    async def look(self, report: Report) -> None:
        """Count losses into the report; look after the forge's webhooks when that is due."""
        if self._door is not None and self._clock.monotonic() >= self._due_s:
            self._due_s = self._clock.monotonic() + self._every_s
            await self._senders.look_after(self._door)
        report.losses = await self._senders.count()
