"""`/status` and `/queue`: how much there is of what, and nothing that only signed-in people may see (GW-9)."""

from collections import Counter
from collections.abc import Iterable

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from conveyor.contracts.errors import TransientError
from conveyor.contracts.task import Task, Waiting
from conveyor.gateway.core.registry import Registry
from conveyor.gateway.ports import Tasks

QUEUED = (Waiting.RUN, Waiting.RETRY)


def routes(registry: Registry, tasks: Tasks) -> APIRouter:
    """Return both pages; 503 while the bus cannot be asked."""
    router = APIRouter()

    async def everything() -> list[Task]:
        return [found.record.task for found in await tasks.all()]

    @router.get("/status")
    async def status() -> JSONResponse:
        try:
            return JSONResponse({"projects": len(registry.projects), **summary(await everything())})
        except TransientError as error:
            return JSONResponse({"status": "unavailable", "reason": str(error)}, 503)

    @router.get("/queue")
    async def queue() -> JSONResponse:
        try:
            return JSONResponse(queued(await everything()))
        except TransientError as error:
            return JSONResponse({"status": "unavailable", "reason": str(error)}, 503)

    return router


def summary(tasks: Iterable[Task]) -> dict[str, dict[str, int]]:
    """Return how many tasks stand in each stage, and what the open ones wait for."""
    found = list(tasks)
    waiting = (task.waiting or "nothing" for task in found if not task.is_over)
    return {"stages": dict(Counter(task.stage for task in found)), "waiting": dict(Counter(map(str, waiting)))}


def queued(tasks: Iterable[Task]) -> dict[str, dict[str, int]]:
    """Return how many runs are out, or wait to be tried again, by the role that runs."""
    waiting = [task for task in tasks if not task.is_over and task.waiting in QUEUED]
    return {
        str(kind): dict(Counter(task.run.role for task in waiting if task.run and task.waiting is kind))
        for kind in QUEUED
    }
