"""Faults that a test orders for webhooks on their way: each waits for a parcel, strikes it, and is counted."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["drop", "duplicate", "delay", "break", "reorder"]
Match = str | Callable[[str], bool] | None


@dataclass(eq=False)
class Fault:
    """One ordered misfortune: it strikes the next `left` parcels whose label matches."""

    kind: Kind
    left: int
    match: Match = None
    delay_s: float = 0.0

    def meets(self, label: str) -> bool:
        """Whether a parcel with this label is struck: no match strikes all, text must be part of the label."""
        if self.match is None:
            return True
        return self.match in label if isinstance(self.match, str) else self.match(label)

    def __str__(self) -> str:
        return f"{self.kind} the next {self.left}" + (f" of {self.match}" if self.match else "")


class FaultBox:
    """The orders still open, and how many parcels each kind has struck."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.struck: Counter[Kind] = Counter()

    def drop_next(self, count: int = 1, match: Match = None) -> None:
        """Lose the next parcels without one attempt, as when a worker dies with them in hand."""
        self.faults.append(Fault("drop", count, match))

    def duplicate_next(self, count: int = 1, match: Match = None) -> None:
        """Bring the next parcels twice: same body, a new delivery id."""
        self.faults.append(Fault("duplicate", count, match))

    def delay_next(self, seconds: float, count: int = 1, match: Match = None) -> None:
        """Pack the next parcels in their turn but bring them later; others overtake, and the body is stale by then."""
        self.faults.append(Fault("delay", count, match, delay_s=seconds))

    def break_next(self, count: int = 1, match: Match = None) -> None:
        """Let the next attempts (retries count) fail as if the connection were refused."""
        self.faults.append(Fault("break", count, match))

    def reorder_next(self, count: int = 2, match: Match = None) -> None:
        """Keep the next parcels until `count` are together, then bring them last first."""
        self.faults.append(Fault("reorder", count, match))

    def take(self, kind: Kind, label: str) -> Fault | None:
        """Use up one stroke of the oldest fault of this kind that meets the label."""
        for fault in self.faults:
            if fault.kind == kind and fault.meets(label):
                fault.left -= 1
                if fault.left == 0:
                    self.faults.remove(fault)
                self.struck[kind] += 1
                return fault
        return None
