"""Notices an agent that makes the same call again and again (RU-13)."""


class Repetition:
    """Counts equal calls in a row."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._last = ""
        self._count = 0

    def note(self, call: str) -> bool:
        """Take one call; whether it is now the same as often as the limit says (0: never)."""
        self._count = self._count + 1 if call == self._last else 1
        self._last = call
        return 0 < self._limit <= self._count
