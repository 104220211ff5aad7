"""How many runs of a project, repository, stage, agent or pool there may be at once, over all runners together (RU-1).

Every place under a cap is a lease: a runner that dies gives its places back when they expire.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from conveyor.contracts.errors import TransientError
from conveyor.servicekit import logs
from conveyor.servicekit.bus import Bucket
from conveyor.servicekit.bus.lease import Lease
from conveyor.servicekit.ending import cancel_until_ended

TTL_S = 30.0
FULL_WAIT_S = 2.0
"""When a run that found no place asks again."""
_log = logs.get("runner.caps")


class Caps:
    """Gives out places."""

    def __init__(self, bucket: Bucket, limits: Mapping[str, int], owner: str) -> None:
        self._bucket = bucket
        self._limits = limits
        self._owner = owner

    @asynccontextmanager
    async def places(self, names: Mapping[str, str]) -> AsyncIterator[None]:
        """Hold one place for each name that has a cap; TransientError when one of them is full.

        `names` are by kind, such as `project` -> `shop`.
        """
        async with AsyncExitStack() as held:
            for kind, name in sorted(names.items()):
                limit = self._limits.get(f"{kind}.{name}", 0)
                if limit:
                    await self._take(f"cap.{kind}.{name}", limit, held)
            yield

    async def _take(self, cap: str, limit: int, held: AsyncExitStack) -> None:
        for number in range(limit):
            lease = Lease(self._bucket, f"{cap}.{number}", self._owner, TTL_S)
            if await lease.acquire() is not None:
                held.push_async_callback(_give_back, lease, asyncio.create_task(_keep(lease)))
                return
        raise TransientError(f"{cap.removeprefix('cap.')} has its {limit} runs", retry_after_s=FULL_WAIT_S)


async def _keep(lease: Lease) -> None:
    while True:
        await asyncio.sleep(lease.period_s)
        try:
            if not await lease.renew():
                _log.warning("place under a cap lost, the run goes on", lease=lease.name)
                return
        except TransientError as error:
            _log.warning("place under a cap not renewed", lease=lease.name, reason=str(error))


async def _give_back(lease: Lease, keeping: "asyncio.Task[None]") -> None:
    await cancel_until_ended(keeping)
    try:
        await lease.release()
    except TransientError as error:
        _log.warning("place under a cap not given back, it expires", lease=lease.name, reason=str(error))
