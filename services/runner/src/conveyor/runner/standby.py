"""Uses a runner's rest: checks out worktrees ahead for large repositories, so that the next task need not wait."""

import asyncio

from conveyor.contracts.errors import PermanentError, TransientError
from conveyor.runner.disk import Disk
from conveyor.runner.interruption import unless
from conveyor.runner.workspace import Workspaces
from conveyor.servicekit import logs

REST_S = 2.0
"""So long nothing was in hand before the rest is used."""
_log = logs.get("runner.standby")


class Standby:
    """Looks every two seconds whether there is anything to do, which costs nothing."""

    def __init__(self, workspaces: Workspaces, idle: asyncio.Event, disk: Disk) -> None:
        """`idle` is set while nothing is in hand."""
        self._workspaces = workspaces
        self._idle = idle
        self._disk = disk

    async def run(self, stopping: asyncio.Event) -> None:
        """Go on until the runner stops; what is being made then is left half done, and deleted at its next start."""
        await unless(stopping, self._work())

    async def _work(self) -> None:
        was_idle = False
        while True:
            await asyncio.sleep(REST_S)
            is_idle = self._idle.is_set()
            if is_idle and was_idle and not self._disk.is_full:
                await self._make()
            was_idle = is_idle

    async def _make(self) -> None:
        try:
            while self._idle.is_set() and await self._workspaces.make_spare():
                _log.info("worktree checked out ahead")
        except (PermanentError, TransientError, OSError) as error:
            _log.warning("worktree not checked out ahead", reason=str(error))
