"""Irreversible effects have one live owner: carried out under a lease, taken over when the owner is dead (SE-17)."""

import asyncio
from collections.abc import Callable
from typing import Any

from conveyor.contracts.commands import AnyCommand
from conveyor.contracts.errors import TransientError
from conveyor.contracts.task import Task
from conveyor.servicekit.bus import Lease
from conveyor.stage_engine.effects.worker import Effect

LeaseOf = Callable[[str], Lease]
RENEWALS = 3
"""How often a lease is renewed within its life."""


def under_lease(effect: Effect, lease_of: LeaseOf, name_of: Callable[[AnyCommand], str], ttl_s: float) -> Effect:
    """Return the effect carried out by one owner at a time; a second raises TransientError and comes again later."""

    async def owned(command: Any, task: Task) -> dict[str, str] | None:
        lease = lease_of(name_of(command))
        if await lease.acquire() is None:
            raise TransientError(f"{name_of(command)} has a live owner", retry_after_s=ttl_s / RENEWALS)
        renewing = asyncio.create_task(_renew(lease, ttl_s / RENEWALS))
        try:
            return await effect(command, task)
        finally:
            renewing.cancel()
            await lease.release()

    return owned


async def _renew(lease: Lease, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        await lease.renew()
