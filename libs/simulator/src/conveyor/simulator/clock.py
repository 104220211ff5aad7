"""The simulators' clock: the one place there that reads the time. Tests move it forward instead of sleeping."""

import time
from datetime import UTC, datetime, timedelta


class Clock:
    """Real time plus what tests have added; every reading is later than the one before, as a database's rows are."""

    def __init__(self) -> None:
        self._ahead = timedelta()
        self._last = datetime.min.replace(tzinfo=UTC)

    def now(self) -> datetime:
        """Now in UTC, at least one microsecond after the last reading."""
        reading = datetime.now(tz=UTC) + self._ahead  # noqa: TID251 - this is the simulators' own clock
        self._last = max(reading, self._last + timedelta(microseconds=1))
        return self._last

    def monotonic_s(self) -> float:
        """Seconds that only grow, moved forward by `advance` as well."""
        return time.monotonic() + self._ahead.total_seconds()

    def advance(self, seconds: float) -> None:
        """Let this many seconds pass at once for everybody who reads this clock."""
        self._ahead += timedelta(seconds=seconds)
