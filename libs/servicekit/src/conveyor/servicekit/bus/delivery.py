"""One message handed to a handler, and what a handler can say about it."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from msgspec import Struct, field
from nats.aio.msg import Msg

from conveyor.contracts.errors import ConveyorError
from conveyor.servicekit.bus.connection import Bus
from conveyor.servicekit.bus.errors import Leave
from conveyor.servicekit.bus.wire import position


class Delivery(Struct, eq=False, kw_only=True):
    """A message as it was delivered; the same one may come again, here or elsewhere."""

    subject: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    seq: int
    delivered: int
    """How often it was delivered, this time included; more than 1 says that somebody may have begun."""
    at: datetime
    """When it was stored; aware, UTC."""
    stream: str = ""
    consumer: str = ""
    reply: str = ""
    bus: Bus | None = None

    async def in_progress(self) -> None:
        """Tell the server that the work goes on; the consume loop does so by itself every third of `ack_wait_s`."""
        if self.bus is not None:
            await self.bus.send(self.reply, b"+WPI")


Outcome = ConveyorError | Leave | None
"""What became of a delivery; a handler may return it or raise it. None: done, acknowledge."""

Handler = Callable[[Delivery], Awaitable[Outcome]]
Lane = Callable[[Delivery], str]


def delivery_of(message: Msg, bus: Bus) -> Delivery:
    """Return what the library received as a delivery."""
    at = position(message)
    return Delivery(
        subject=message.subject,
        body=message.data,
        headers=message.headers or {},
        seq=at.seq,
        delivered=at.delivered,
        at=at.at,
        stream=at.stream,
        consumer=at.consumer,
        reply=message.reply,
        bus=bus,
    )
