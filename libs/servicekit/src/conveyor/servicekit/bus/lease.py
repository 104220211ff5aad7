"""Leases: what may have one owner at a time, such as a merge or the reconciler's pass; taken over when they expire."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from msgspec import Struct

from conveyor.contracts.errors import TransientError
from conveyor.servicekit import logs
from conveyor.servicekit.bus.errors import Conflict
from conveyor.servicekit.bus.kv import Bucket
from conveyor.servicekit.clock import SYSTEM_CLOCK
from conveyor.servicekit.ending import cancel_until_ended

RENEW_SHARE = 3
"""A lease is renewed this many times within its life."""
_log = logs.get("lease")


class Holding(Struct, frozen=True):
    """What lies in the bucket while a lease is held."""

    owner: str
    token: int = 0
    """The fencing token; 0 in the first revision, whose own number it is."""


class Lease:
    """One named lease as one contender sees it. The server's clock ends it `ttl_s` (whole seconds) after a renewal.

    The token grows from owner to owner: an effect that checks it refuses whoever comes late.
    """

    def __init__(self, bucket: Bucket, name: str, owner: str, ttl_s: float) -> None:
        self._bucket = bucket
        self.name = name
        self._owner = owner
        self._ttl_s = ttl_s
        self._revision = 0
        self._token = 0
        self._until_s = 0.0

    @property
    def is_held(self) -> bool:
        """Whether it is surely ours still, by our own clock."""
        return self._revision > 0 and SYSTEM_CLOCK.monotonic() < self._until_s

    @property
    def remaining_s(self) -> float:
        """For how many seconds it is surely ours without a renewal; 0 when it is not."""
        return max(self._until_s - SYSTEM_CLOCK.monotonic(), 0.0) if self._revision else 0.0

    @property
    def period_s(self) -> float:
        """How often it is renewed, and how often a standby asks for it, in seconds."""
        return self._ttl_s / RENEW_SHARE

    async def acquire(self) -> int | None:
        """Return the fencing token if the lease was free and is ours now; None when somebody else holds it."""
        begun_s = SYSTEM_CLOCK.monotonic()
        try:
            revision = await self._bucket.create(self.name, self._value(0), ttl_s=self._ttl_s)
        except Conflict:
            return None
        self._revision = self._token = revision
        self._until_s = begun_s + self._ttl_s
        return revision

    async def renew(self) -> bool:
        """Prolong it; False when it is no longer ours. After a TransientError it still ends at its time."""
        begun_s = SYSTEM_CLOCK.monotonic()
        try:
            self._revision = await self._bucket.update(
                self.name, self._value(self._token), self._revision, ttl_s=self._ttl_s
            )
        except Conflict:
            if not await self._was_ours_after_all():
                self._revision = 0
                return False
        self._until_s = begun_s + self._ttl_s
        return True

    async def release(self) -> None:
        """Give it up so that the next need not wait; no error when it is not ours."""
        revision, self._revision = self._revision, 0
        if revision:
            await self._bucket.delete(self.name, revision)

    async def give_up(self) -> None:
        """As `release`, but without the bus it is left to expire: whoever is done need not fail for that."""
        try:
            await self.release()
        except TransientError as error:
            _log.warning("lease not released, it will expire", lease=self.name, reason=str(error))

    async def holder(self) -> str | None:
        """Return who holds it now; None for nobody."""
        entry = await self._bucket.get(self.name)
        return None if entry is None else msgspec.json.decode(entry.value, type=Holding).owner

    async def seize(self) -> None:
        """Take it from whoever holds it (an operator's act): it is free afterwards, the old token out of date."""
        await self._bucket.delete(self.name)

    def _value(self, token: int) -> bytes:
        return msgspec.json.encode(Holding(self._owner, token))

    async def _was_ours_after_all(self) -> bool:
        """An earlier renewal may have been stored though its answer was lost; the token in it tells."""
        entry = await self._bucket.get(self.name)
        if entry is None or not self._token:
            return False
        if msgspec.json.decode(entry.value, type=Holding) != Holding(self._owner, self._token):
            return False
        self._revision = entry.revision
        return True


async def leader(lease: Lease, work: Callable[[int], Awaitable[None]], *, stopping: asyncio.Event) -> None:
    """Run `work(token)` while the lease is ours, again each time it becomes ours, until `stopping` is set.

    Work is cancelled before the lease ends, so that two never work at once; what it raises is raised here. It should
    watch `stopping` itself and return; the lease is then released. A standby takes over within `ttl_s` plus a third.
    """
    while not stopping.is_set():
        token = await _try(lease)
        if token is not None:
            _log.info("leading", lease=lease.name, token=token)
            try:
                await _lead_once(lease, work, token)
            finally:
                await lease.give_up()
        await _wait(stopping, lease.period_s)


async def _lead_once(lease: Lease, work: Callable[[int], Awaitable[None]], token: int) -> None:
    task = asyncio.ensure_future(work(token))
    try:
        if await held_until_done(lease, task):
            task.result()
    finally:
        await cancel_until_ended(task, again_s=lease.period_s)


async def held_until_done(lease: Lease, work: "asyncio.Future[Any]") -> bool:
    """Renew a lease until the work under it is done; False, in time to stop the work, when it is no longer ours."""
    while not work.done():
        await asyncio.wait({work}, timeout=min(lease.period_s, lease.remaining_s))
        if not work.done() and not await _renewed(lease):
            _log.warning("lease lost: taken over, out of time, or released by an operator", lease=lease.name)
            return False
    return True


async def _try(lease: Lease) -> int | None:
    try:
        return await lease.acquire()
    except TransientError as error:
        _log.warning("lease not asked for", lease=lease.name, reason=str(error))
        return None


async def _renewed(lease: Lease) -> bool:
    """Whether the lease is still ours; while the bus is away it is until its time is up."""
    try:
        async with asyncio.timeout(max(lease.remaining_s - lease.period_s / 2, 0)):
            return await lease.renew()
    except (TransientError, TimeoutError) as error:
        _log.warning("lease not renewed", lease=lease.name, reason=str(error) or "it took too long")
        return lease.remaining_s > lease.period_s / 2


async def _wait(stopping: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
