"""Who spent what: one entry a run in the bucket `spend`, put anew while it goes on, so that no sum is kept twice.

Keys are `<project>.<day>.<run_id>`, the day (UTC) being the one on which the run began.
"""

from datetime import datetime

import msgspec
from msgspec import Struct

from conveyor.contracts.commands import StartRun
from conveyor.contracts.errors import TransientError
from conveyor.contracts.outcomes import Usage
from conveyor.servicekit import logs
from conveyor.servicekit.bus import Bucket

_log = logs.get("runner.spend")


class Spent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one run has used so far."""

    key: str
    stage: str
    role: str
    agent: str
    usage: Usage = Usage()


class Spend:
    """Writes a run's entry and reads what others spent."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    async def note(self, command: StartRun, day: str, usage: Usage) -> None:
        """Store what a run has used so far. Never raises: the outcome carries it too."""
        spent = Spent(key=command.key, stage=command.stage, role=command.role, agent=command.agent, usage=usage)
        try:
            await self._bucket.put(f"{command.project}.{day}.{command.run_id}", msgspec.json.encode(spent))
        except TransientError as error:
            _log.warning("spending not noted", run_id=command.run_id, reason=str(error))

    async def of_others(self, command: StartRun, day: str) -> float:
        """Return what all other runs of the project cost that day, in US dollars; TransientError without an answer."""
        entries = await self._bucket.entries(f"{command.project}.{day}")
        own = f"{command.project}.{day}.{command.run_id}"
        return sum(
            msgspec.json.decode(entry.value, type=Spent).usage.cost_usd for key, entry in entries.items() if key != own
        )


def day_of(at: datetime) -> str:
    """Return the day by which spending is kept, in UTC."""
    return f"{at:%Y-%m-%d}"
