"""Removes worktrees of tasks that are over, and idle ones where the disk is full: at the start, then every minute."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from msgspec import Struct

from conveyor.contracts import subjects
from conveyor.contracts.errors import MessageError, PermanentError, TransientError
from conveyor.runner.disk import Disk
from conveyor.runner.workspace import Request, Workspaces
from conveyor.servicekit import logs
from conveyor.servicekit.bus import TaskStore
from conveyor.servicekit.clock import Clock
from conveyor.servicekit.ending import cancel_until_ended

EVERY_S = 60.0
MAINTAIN_EVERY_S = 86_400.0
_log = logs.get("runner.tidy")
BeforeRemove = Callable[[Request], Awaitable[None]]


class Ground(Struct, frozen=True, kw_only=True):
    """What tidying stands on."""

    workspaces: Workspaces
    tasks: TaskStore
    clock: Clock
    is_busy: Callable[[str, str], bool]
    """Whether a run of this project and key is in hand: its worktree is never touched."""
    changes: Callable[[], AsyncGenerator[str, None]]
    """The subjects of task revisions as they are stored."""
    before_remove: BeforeRemove
    """Called before a worktree goes; does not raise."""
    disk: Disk


class Tidy:
    """Level-triggered: it asks what has become of each task that has a worktree; a missed change costs a minute."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._bell = asyncio.Event()
        self._maintained_s = ground.clock.monotonic()

    def wake(self) -> None:
        """Look again soon, as when a run has ended whose task was over already."""
        self._bell.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Sweep until the runner stops."""
        listening = asyncio.create_task(self._listen())
        ending = asyncio.create_task(_ring_at(stopping, self._bell))
        try:
            await self._ground.workspaces.remove_strays()
            while not stopping.is_set():
                await self.sweep()
                await self._maintain()
                await self._pause()
                if listening.done():
                    listening.result()
        finally:
            await cancel_until_ended(listening, ending)

    async def sweep(self) -> int:
        """Remove every worktree whose task is over and return how many there were."""
        removed = 0
        for request in self._ground.workspaces.tenants:
            if not self._is_busy(request) and await self._is_over(request):
                removed += await self._remove(request, "its task is over")
        return removed + await self._make_room()

    async def _maintain(self) -> None:
        """Pack the mirrors once a day while the runner lives."""
        now_s = self._ground.clock.monotonic()
        if now_s - self._maintained_s < MAINTAIN_EVERY_S:
            return
        self._maintained_s = now_s
        try:
            await self._ground.workspaces.maintain()
        except (PermanentError, TransientError, OSError) as error:
            _log.warning("mirrors not packed", reason=str(error))

    async def _make_room(self) -> int:
        """Remove spare worktrees, then idle ones, the longest unused first, while the disk is too full.

        A later run makes them anew.
        """
        removed = await self._drop_spares() if self._ground.disk.is_full else 0
        for request in self._ground.workspaces.tenants:
            if not self._ground.disk.is_full:
                break
            if not self._is_busy(request):
                removed += await self._remove(request, "the disk is full")
        return removed

    async def _drop_spares(self) -> int:
        try:
            return await self._ground.workspaces.drop_spares()
        except OSError as error:
            _log.warning("worktree checked out ahead not removed, trying again later", reason=str(error))
            return 0

    async def _remove(self, request: Request, why: str) -> bool:
        await self._ground.before_remove(request)
        try:
            is_gone = await self._ground.workspaces.remove(request, unless=lambda: self._is_busy(request))
        except OSError as error:
            _log.warning("worktree not removed, trying again later", task=request.key, reason=str(error))
            return False
        if is_gone:
            _log.info("worktree removed", task=request.key, why=why)
        return is_gone

    def _is_busy(self, request: Request) -> bool:
        return self._ground.is_busy(request.project, request.key)

    async def _is_over(self, request: Request) -> bool:
        """Whether the task is done, cancelled or forgotten; one that cannot be read keeps its worktree."""
        try:
            stored = await self._ground.tasks.load(request.project, request.key)
        except (TransientError, MessageError) as error:
            _log.warning("task not read, its worktree stays", task=request.key, reason=str(error))
            return False
        return stored is None or stored.record.task.is_over

    async def _listen(self) -> None:
        async with aclosing(self._ground.changes()) as changes:
            async for subject in changes:
                if subject in {subjects.task(one.project, one.key) for one in self._ground.workspaces.tenants}:
                    self._bell.set()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(EVERY_S):
                await self._bell.wait()
        except TimeoutError:
            return
        self._bell.clear()


async def _ring_at(stopping: asyncio.Event, bell: asyncio.Event) -> None:
    await stopping.wait()
    bell.set()
