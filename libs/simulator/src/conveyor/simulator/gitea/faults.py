"""Answers that a test orders the REST interface to give instead of the right ones: a locked database, an outage."""

import dataclasses

from conveyor.simulator.gitea.world import RefusalError


@dataclasses.dataclass(eq=False)
class _Order:
    part: str
    status: int
    left: int


class RestFaults:
    """Refusals still to be given; each strikes the next requests whose `METHOD /path` contains a text."""

    def __init__(self) -> None:
        self._orders: list[_Order] = []

    def order(self, part: str, status: int = 500, count: int = 1) -> None:
        """Refuse the next `count` requests whose `METHOD /path` contains this text."""
        self._orders.append(_Order(part, status, count))

    def strike(self, address: str) -> None:
        """Raise the refusal that waits for this request, if one does."""
        for order in self._orders:
            if order.part in address:
                order.left -= 1
                if order.left == 0:
                    self._orders.remove(order)
                raise RefusalError(order.status, "database is locked")
