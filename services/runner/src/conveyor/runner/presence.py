"""Tells the console which runners are there, what they do and what is wrong with their agents; entries expire."""

import asyncio
from datetime import datetime

import msgspec
from msgspec import Struct

from conveyor.contracts.errors import TransientError
from conveyor.runner.handlers import RunHandler
from conveyor.runner.preflight import Preflight
from conveyor.servicekit import logs
from conveyor.servicekit.bus import Bucket
from conveyor.servicekit.clock import Clock

_log = logs.get("runner.presence")


class Here(Struct, frozen=True, kw_only=True):
    """One runner's entry in the bucket `runners`."""

    runner_id: str
    host: str
    pools: tuple[str, ...]
    slots: int


class Presence(Struct, frozen=True, kw_only=True):
    """The entry with what changes."""

    runner: Here
    at: datetime
    runs: tuple[str, ...]
    agents: dict[str, str]
    """Why an agent cannot start; empty text when it can."""
    paused: dict[str, str]
    """Why runs of an agent's account wait, by account (RU-9)."""
    is_stopping: bool


class Announcer:
    """Renews a runner's entry and removes it when the runner leaves in peace."""

    def __init__(self, bucket: Bucket, here: Here, handler: RunHandler, preflight: Preflight, clock: Clock) -> None:
        self._paused = handler.paused
        self._bucket = bucket
        self._here = here
        self._handler = handler
        self._preflight = preflight
        self._clock = clock

    def entry(self, *, is_stopping: bool) -> bytes:
        """Return the entry as it would be written now."""
        return msgspec.json.encode(
            Presence(
                runner=self._here,
                at=self._clock.now(),
                runs=self._handler.runs,
                agents=self._preflight.problems,
                paused=self._paused(),
                is_stopping=is_stopping,
            )
        )

    async def run(self, every_s: float, stopping: asyncio.Event) -> None:
        """Renew until the runner stops and nothing is in hand any more."""
        while not stopping.is_set() or self._handler.runs:
            await self._preflight.look()
            try:
                await self._bucket.put(self._here.runner_id, self.entry(is_stopping=stopping.is_set()))
            except TransientError as error:
                _log.warning("presence not renewed", reason=str(error))
            await self._pause(1.0 if stopping.is_set() else every_s, stopping)
        try:
            await self._bucket.delete(self._here.runner_id)
        except TransientError as error:
            _log.debug("presence not removed, it expires", reason=str(error))

    async def _pause(self, seconds: float, stopping: asyncio.Event) -> None:
        if stopping.is_set():
            await self._clock.sleep(seconds)
            return
        try:
            async with asyncio.timeout(seconds):
                await stopping.wait()
        except TimeoutError:
            return
