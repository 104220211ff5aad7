"""The circuit breaker of an agent's account: who may call it now, and what an outcome makes of it (RU-9)."""

from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from conveyor.contracts.outcomes import Outcome, OutcomeKind

STREAK = 3
"""So many transient failures in a row open it."""
OPEN_S = 300.0
PROBE_S = 2400.0
"""How long a probe may take before another run may probe: its runner may have died."""
LOOK_S = 10.0
"""While a probe is under way the others ask again so often; its outcome may come any moment."""


class Breaker(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One account's state, shared by all runners. Closed, and everybody may call, while `open_until` is None."""

    streak: int = 0
    open_until: datetime | None = None
    is_limit: bool = False
    """A usage limit with a known reset: no probe is needed then."""
    why: str = ""
    probe: str = ""
    """The run that probes."""
    probe_until: datetime | None = None


class Admission(Struct, frozen=True, kw_only=True):
    """Whether a run may call the account, and the state to store beforehand when that changes it."""

    wait_s: float = 0.0
    """0: it may."""
    change: Breaker | None = None


def admit(breaker: Breaker, run_id: str, now: datetime) -> Admission:
    """Say whether this run may begin. Once an open breaker's time is over, one run is the probe and the rest wait."""
    if breaker.open_until is None or breaker.probe == run_id:
        return Admission()
    if now < breaker.open_until:
        return Admission(wait_s=(breaker.open_until - now).total_seconds())
    if breaker.is_limit:
        return Admission(change=Breaker())
    if breaker.probe and breaker.probe_until is not None and now < breaker.probe_until:
        return Admission(wait_s=LOOK_S)
    return Admission(change=replace(breaker, probe=run_id, probe_until=now + timedelta(seconds=PROBE_S)))


def after(breaker: Breaker, run_id: str, outcome: Outcome, now: datetime) -> Breaker:
    """Return the breaker after an agent's outcome. What does not come from the account only ends a probe."""
    if resets_at := outcome.reset_after(now):
        return Breaker(open_until=resets_at, is_limit=True, why=outcome.detail)
    match outcome.kind:
        case OutcomeKind.TRANSIENT:
            return _failed(breaker, run_id, outcome, now)
        case OutcomeKind.SUCCEEDED | OutcomeKind.FAILED:
            return breaker if breaker.is_limit else Breaker()
        case OutcomeKind.TIMEOUT | OutcomeKind.CANCELLED | OutcomeKind.LOST:
            return replace(breaker, probe="", probe_until=None) if breaker.probe == run_id else breaker


def _failed(breaker: Breaker, run_id: str, outcome: Outcome, now: datetime) -> Breaker:
    streak = breaker.streak + 1
    if breaker.open_until is not None and breaker.probe != run_id:  # begun before it opened
        return replace(breaker, streak=streak)
    if streak < STREAK and not breaker.probe:
        return replace(breaker, streak=streak, why=outcome.detail)
    return Breaker(streak=streak, open_until=now + timedelta(seconds=OPEN_S), why=outcome.detail)
