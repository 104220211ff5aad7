"""Whether every service of the tree is ready to work, asked the way an orchestrator would ask."""

import asyncio
from collections.abc import Collection

import httpx

from conveyor.cli.up.plan import Member
from conveyor.servicekit.clock import SYSTEM_CLOCK

_POLL_S = 0.05
_ANSWER_S = 2.0
_SHOWN_CHARS = 300


async def wait_ready(members: Collection[Member], timeout_s: float) -> dict[str, str]:
    """Return once every service answers /readyz with 200, or after the timeout: who does not, and what it says."""
    deadline_s = SYSTEM_CLOCK.monotonic() + timeout_s
    left = {member.name: "it does not answer" for member in members}
    async with httpx.AsyncClient(timeout=_ANSWER_S, trust_env=False) as client:
        while left and SYSTEM_CLOCK.monotonic() < deadline_s:
            asked = [member for member in members if member.name in left]
            answers = await asyncio.gather(*(_reason(client, member.url) for member in asked))
            left = {member.name: reason for member, reason in zip(asked, answers, strict=True) if reason}
            if left:
                await SYSTEM_CLOCK.sleep(_POLL_S)
    return left


async def _reason(client: httpx.AsyncClient, url: str) -> str:
    """Return why a service is not ready; empty when it is."""
    try:
        answer = await client.get(f"{url}/readyz")
    except httpx.HTTPError as error:
        return f"{url} does not answer ({type(error).__name__})"
    return "" if answer.is_success else f"{url}/readyz says {answer.status_code}: {answer.text[:_SHOWN_CHARS]}"
