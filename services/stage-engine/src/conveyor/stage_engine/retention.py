"""Forgets tasks that ended long ago, so that the streams hold what is at work and what people still ask about."""

import asyncio
from datetime import timedelta

from conveyor.contracts import streams
from conveyor.contracts.errors import TransientError
from conveyor.servicekit import logs
from conveyor.servicekit.bus import Bus, TaskStore, acknowledged_up_to, forget
from conveyor.servicekit.clock import Clock

log = logs.get("retention")
EVERY_S = 3600.0


class Retention:
    """Looks every hour for tasks that ended more than so many days ago. Several engines may do so at once."""

    def __init__(self, bus: Bus, clock: Clock, decider: str, keep_days: int) -> None:
        self._bus = bus
        self._clock = clock
        self._decider = decider
        self._keep = timedelta(days=keep_days)

    async def run(self, stopping: asyncio.Event) -> None:
        """Look until told to stop; while the bus is away, later."""
        stopped = asyncio.ensure_future(stopping.wait())
        while not stopping.is_set():
            try:
                await self.look()
            except TransientError as error:
                log.info("retention looks again later", reason=str(error))
            await asyncio.wait({stopped}, timeout=EVERY_S)

    async def look(self) -> int:
        """Forget what is old enough and return how many tasks that were.

        Only events that the decide loop has dealt with are forgotten, and only revisions up to the one looked at: a
        task that is taken up again at this very moment stays.
        """
        dealt_with = await acknowledged_up_to(self._bus, streams.EVENTS.name, self._decider)
        oldest = self._clock.now() - self._keep
        count = 0
        for stored in await TaskStore(self._bus).all():
            task = stored.record.task
            if task.ended_at is not None and task.is_over and task.ended_at < oldest:
                await forget(self._bus, task.project, task.key, event_seq=dealt_with, task_seq=stored.seq)
                log.info("forgotten", task=task.key, ended_at=task.ended_at.isoformat())
                count += 1
        return count
