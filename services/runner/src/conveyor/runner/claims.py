"""Who runs what: one record a run in the `runs` bucket, made once, finished once; every later word is fenced by it."""

import uuid
from datetime import datetime

import msgspec
from msgspec import Struct

from conveyor.contracts.commands import StartRun
from conveyor.contracts.errors import TransientError
from conveyor.contracts.outcomes import Outcome
from conveyor.servicekit.bus import Bucket, Conflict


class RunRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run as it stands in the bucket: who took it, and how it ended once it has."""

    run_id: str
    project: str
    key: str
    trace_id: str
    runner_id: str
    claim_id: str
    """Of this one taking; two runners of the same name do not mistake each other's claim for theirs."""
    claimed_at: datetime
    outcome: Outcome | None = None


class Claim(Struct, frozen=True, kw_only=True):
    """A record with the revision it is known at."""

    record: RunRecord
    revision: int


class Claims:
    """Takes runs and settles them. Every call raises TransientError when the bus cannot answer."""

    def __init__(self, bucket: Bucket, runner_id: str) -> None:
        self._bucket = bucket
        self.runner_id = runner_id

    async def take(self, command: StartRun, at: datetime) -> Claim | None:
        """Claim a run; None when it has been claimed before, by whomever."""
        record = RunRecord(
            run_id=command.run_id,
            project=command.project,
            key=command.key,
            trace_id=command.trace_id,
            runner_id=self.runner_id,
            claim_id=uuid.uuid4().hex,
            claimed_at=at,
        )
        try:
            revision = await self._bucket.create(record.run_id, msgspec.json.encode(record))
        except Conflict:
            return None
        except TransientError:
            # Whether it was stored is unknown, and a claim of ours that nobody holds would count as a lost run.
            found = await self.find(command.run_id)
            if found is None or found.record.claim_id != record.claim_id:
                raise
            return found
        return Claim(record=record, revision=revision)

    async def find(self, run_id: str) -> Claim | None:
        """Return who has the run, or had it; None when nobody ever took it."""
        entry = await self._bucket.get(run_id)
        if entry is None:
            return None
        return Claim(record=msgspec.json.decode(entry.value, type=RunRecord), revision=entry.revision)

    async def holds(self, claim: Claim) -> bool:
        """Whether this claim is still the run's, and open: nobody declared it lost meanwhile."""
        found = await self.find(claim.record.run_id)
        return found is not None and found.record.claim_id == claim.record.claim_id and found.record.outcome is None

    async def finish(self, claim: Claim, outcome: Outcome) -> Outcome | None:
        """Settle the run and return its outcome; None when somebody else settled it first.

        Settling it again with the same claim returns what was settled the first time.
        """
        if claim.record.outcome is not None:
            return claim.record.outcome
        done = msgspec.structs.replace(claim.record, outcome=outcome)
        try:
            await self._bucket.update(done.run_id, msgspec.json.encode(done), claim.revision)
        except Conflict:
            found = await self.find(done.run_id)
            is_ours = found is not None and found.record == done
            return outcome if is_ours else None
        return outcome
