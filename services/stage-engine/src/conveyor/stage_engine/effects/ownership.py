"""Irreversible effects have one live owner: carried out under a lease, taken over when the owner is dead (SE-17)."""

import asyncio
from collections.abc import Callable
from typing import Any

from conveyor.contracts.commands import AnyCommand
from conveyor.contracts.errors import TransientError
from conveyor.contracts.task import Task
from conveyor.servicekit.bus import Lease, held_until_done
from conveyor.servicekit.ending import cancel_until_ended
from conveyor.stage_engine.effects.worker import Effect

LeaseOf = Callable[[AnyCommand], Lease]


def lease_name(repository: str) -> str:
    """Return the lease of what cannot be undone in a repository, given as `owner/name`; operators may release it."""
    return f"repository.{repository.casefold().replace('/', '.')}"


def under_lease(effect: Effect, lease_of: LeaseOf) -> Effect:
    """Return the effect carried out by one owner at a time; a second raises TransientError and comes again later."""

    async def owned(command: Any, task: Task) -> dict[str, str] | None:
        lease = lease_of(command)
        if await lease.acquire() is None:
            raise TransientError(f"{lease.name} has a live owner", retry_after_s=lease.period_s)
        work = asyncio.ensure_future(effect(command, task))
        try:
            if not await held_until_done(lease, work):
                reason = f"{lease.name} was taken over, or ran out; who owns it next carries on"
                raise TransientError(reason, retry_after_s=lease.period_s)  # the next may be nobody but us
            return work.result()
        finally:
            await cancel_until_ended(work, again_s=lease.period_s)
            await lease.give_up()

    return owned
