"""One pass after the other, for as long as this process leads."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from conveyor.contracts.errors import ConveyorError
from conveyor.reconciler.figures import Figures
from conveyor.reconciler.report import Report
from conveyor.servicekit import logs


class Passes(Protocol):
    """Who makes passes, and remembers between them what need not be looked at twice."""

    async def run_pass(self) -> Report:
        """Look at every project once; ConveyorError when not even that could be begun."""


class Sweeps:
    """One pass after the other, for as long as this process leads."""

    def __init__(
        self, begin: Callable[[], Passes], figures: Figures, interval_s: float, stopping: asyncio.Event
    ) -> None:
        self._begin = begin
        self._figures = figures
        self._interval_s = interval_s
        self._stopping = stopping

    async def lead(self, _token: int) -> None:
        """Make passes until told to stop; one that fails as a whole is tried again after the interval.

        Each time anew: what was known when this process led before, another may have changed since.
        """
        passes = self._begin()
        try:
            while not self._stopping.is_set():
                try:
                    self._figures.count(await passes.run_pass())
                except ConveyorError as error:
                    logs.get("reconciler").warning("pass failed", reason=str(error))
                await self._pause()
        finally:
            self._figures.forget()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._interval_s):
                await self._stopping.wait()
        except TimeoutError:
            return
