"""The circuit breakers of agent accounts as all runners share them, in the bucket `breakers` (RU-9)."""

import msgspec

from conveyor.contracts.errors import TransientError
from conveyor.contracts.outcomes import Outcome
from conveyor.runner.core.breaker import Breaker, admit, after
from conveyor.servicekit import logs
from conveyor.servicekit.bus import Bucket, Conflict
from conveyor.servicekit.clock import Clock

LONGEST_WAIT_S = 30.0
"""A waiting run looks again at least so often: a probe may have closed the breaker meanwhile."""
_ROUNDS = 20
_log = logs.get("runner.breakers")


class Breakers:
    """Asks and tells; every change by compare-and-set."""

    def __init__(self, bucket: Bucket, clock: Clock) -> None:
        self._bucket = bucket
        self._clock = clock
        self._known: dict[str, Breaker] = {}

    @property
    def paused(self) -> dict[str, str]:
        """Why runs of an account waited when it was last asked for, by account."""
        now = self._clock.now()
        return {
            account: f"until {breaker.open_until:%Y-%m-%d %H:%M:%S} UTC: {breaker.why}"
            for account, breaker in self._known.items()
            if breaker.open_until is not None and now < breaker.open_until
        }

    async def admit(self, account: str, run_id: str) -> None:
        """Return when this run may call the account; TransientError with the wait when it may not."""
        for _ in range(_ROUNDS):
            breaker, revision = await self._read(account)
            admission = admit(breaker, run_id, self._clock.now())
            if admission.wait_s:
                wait_s = min(admission.wait_s, LONGEST_WAIT_S)
                raise TransientError(f"agent account {account} is paused: {breaker.why}", retry_after_s=wait_s)
            if admission.change is None or await self._store(account, admission.change, revision):
                return
        raise TransientError(f"the breaker of {account} changed too often")

    async def note(self, account: str, run_id: str, outcome: Outcome) -> Breaker | None:
        """Take an agent's outcome; return the breaker when this very outcome opened it. Never raises."""
        try:
            for _ in range(_ROUNDS):
                breaker, revision = await self._read(account)
                changed = after(breaker, run_id, outcome, self._clock.now())
                if changed == breaker:
                    return None
                if await self._store(account, changed, revision):
                    has_opened = changed.open_until is not None and changed.open_until != breaker.open_until
                    return changed if has_opened else None
        except TransientError as error:  # one outcome less in the streak; the next one tells again
            _log.warning("breaker not told", account=account, reason=str(error))
        return None

    async def _read(self, account: str) -> tuple[Breaker, int]:
        entry = await self._bucket.get(account)
        breaker = msgspec.json.decode(entry.value, type=Breaker) if entry else Breaker()
        self._known[account] = breaker
        return breaker, entry.revision if entry else 0

    async def _store(self, account: str, breaker: Breaker, revision: int) -> bool:
        value = msgspec.json.encode(breaker)
        try:
            if revision:
                await self._bucket.update(account, value, revision)
            else:
                await self._bucket.create(account, value)
        except Conflict:
            return False
        self._known[account] = breaker
        return True
