"""What the tests that kill engines have in common: a short pipeline, short waits, and when a task waits for what."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from conveyor.contracts.task import Waiting
from conveyor.servicekit.bus import TaskStore
from tests.rigs.house import House

PIPELINE = """
name = "tested"
transient_first_s = 0.02
[[stages]]
name = "analysis"
role = "analyst"
gate = ["analysis_complete", "analysis_approved"]
documents = ["01-analysis.md"]
opens_pull_request = true
[[stages]]
name = "release"
role = "deployer"
status = "deploying"
entry = "merge"
gate = ["deploy_status"]
documents = ["14-deploy-log.md"]
verdicts = ["14-deploy-log.md"]
"""
SOON = {"ack_wait_s": 0.6, "lease_ttl_s": 1.0}
"""What a dead engine had in hand comes back soon, so that a test need not wait for half a minute."""


@asynccontextmanager
async def watching(house: House) -> AsyncIterator[dict[str, Waiting]]:
    """What each task waits for now, by its key; kept up to date until the block ends."""
    seen: dict[str, Waiting] = {}

    async def follow() -> None:
        async for revision in TaskStore(house.bus).follow(house.project.name):
            seen[revision.record.task.key] = revision.record.task.waiting

    life = asyncio.create_task(follow())
    try:
        yield seen
    finally:
        life.cancel()
        await asyncio.wait({life})
