"""Writes what a run spends into the bucket `spend` while it goes on, and reads what others of its project spent."""

import msgspec

from conveyor.contracts.commands import StartRun
from conveyor.contracts.errors import TransientError
from conveyor.contracts.outcomes import Usage
from conveyor.contracts.spending import Spent, entry
from conveyor.servicekit import logs
from conveyor.servicekit.bus import Bucket

_log = logs.get("runner.spend")


class Spend:
    """Writes a run's entry and reads what others spent."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    async def note(self, command: StartRun, day: str, usage: Usage) -> None:
        """Store what a run has used so far. Never raises: the outcome carries it too."""
        spent = Spent(key=command.key, stage=command.stage, role=command.role, agent=command.agent, usage=usage)
        try:
            await self._bucket.put(entry(command.project, day, command.run_id), msgspec.json.encode(spent))
        except TransientError as error:
            _log.warning("spending not noted", run_id=command.run_id, reason=str(error))

    async def of_others(self, command: StartRun, day: str) -> float:
        """Return what all other runs of the project cost that day, in US dollars; TransientError without an answer."""
        entries = await self._bucket.entries(f"{command.project}.{day}")
        own = entry(command.project, day, command.run_id)
        return sum(
            msgspec.json.decode(one.value, type=Spent).usage.cost_usd for key, one in entries.items() if key != own
        )
