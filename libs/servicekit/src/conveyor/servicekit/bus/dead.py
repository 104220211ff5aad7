"""DEAD: messages nobody could process, kept with the error, to be looked at and replayed by an operator."""

from datetime import datetime

from msgspec import Struct

from conveyor.contracts import streams, subjects
from conveyor.contracts.errors import PermanentError
from conveyor.servicekit.bus import wire
from conveyor.servicekit.bus.connection import Bus
from conveyor.servicekit.bus.delivery import Delivery
from conveyor.servicekit.bus.errors import Conflict
from conveyor.servicekit.bus.follow import scan
from conveyor.servicekit.bus.wire import Message

ERROR = "Conveyor-Error"
STREAM = "Conveyor-Stream"
STREAM_SEQ = "Conveyor-Stream-Seq"
CONSUMER = "Conveyor-Consumer"
DELIVERIES = "Conveyor-Deliveries"
REPLAYED = "Conveyor-Replayed"
CUT = "Conveyor-Cut"
"""Says that the body of a dead letter lies only where it came from."""
_OURS = frozenset({ERROR, STREAM, STREAM_SEQ, CONSUMER, DELIVERIES, CUT})
_ERROR_CHARS = 1000


class DeadLetter(Struct, frozen=True, kw_only=True):
    """One message that could not be processed."""

    seq: int
    """Its sequence in DEAD, by which it is replayed."""
    at: datetime
    subject: str
    """The subject it had."""
    stream: str
    stream_seq: int
    consumer: str
    """Who gave it up."""
    deliveries: int
    error: str
    body: bytes
    headers: dict[str, str]


async def bury(bus: Bus, delivery: Delivery, reason: str) -> None:
    """Keep a message with the reason why nobody could process it; repeating it keeps it once.

    One so large that it does not fit beside its reason is kept without its body, which still lies in its stream.
    """
    headers = {name: value for name, value in delivery.headers.items() if not name.startswith("Nats-")}
    headers |= {
        ERROR: " ".join(reason.split())[:_ERROR_CHARS],
        STREAM: delivery.stream,
        STREAM_SEQ: str(delivery.seq),
        CONSUMER: delivery.consumer,
        DELIVERIES: str(delivery.delivered),
        wire.MSG_ID: f"dead-{delivery.stream}-{delivery.consumer}-{delivery.seq}",
    }
    subject = subjects.dead(delivery.stream, delivery.subject)
    try:
        await wire.publish(bus, subject, delivery.body, headers)
    except PermanentError:
        await wire.publish(bus, subject, b"", headers | {CUT: "too large to be kept here"})


class DeadLetters:
    """The operator's view of DEAD."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def list(self) -> list[DeadLetter]:
        """Return every dead letter, oldest first."""
        return [_letter(message) async for message in scan(self._bus, streams.DEAD.name, streams.DEAD.subjects)]

    async def replay(self, seq: int) -> int:
        """Store the message on its own subject again, as new, and take it off the list; return its new sequence.

        PermanentError when there is no such dead letter, when it was too large to be kept whole, and for a task's
        revision that is not its latest: stored anew it would turn the task back. After a TransientError it may be
        stored already: look.
        """
        found = await wire.read(self._bus, streams.DEAD.name, {"seq": seq})
        if found is None:
            raise PermanentError(f"there is no dead letter {seq}")
        if CUT in found.headers:
            raise PermanentError(f"dead letter {seq} is {found.headers[CUT]}: it cannot be replayed")
        letter = _letter(found)
        headers = {**letter.headers, REPLAYED: str(seq), wire.MSG_ID: f"replay-{seq}"}
        if letter.stream == streams.TASKS.name:
            headers[wire.EXPECTED_LAST] = str(letter.stream_seq)
        try:
            ack = await wire.publish(self._bus, letter.subject, letter.body, headers)
        except Conflict as error:
            raise PermanentError(f"dead letter {seq}: the task has moved on since; retry the task instead") from error
        await self.discard(seq)
        return ack.seq

    async def discard(self, seq: int) -> None:
        """Take a dead letter off the list for good."""
        await self._bus.api(f"STREAM.MSG.DELETE.{streams.DEAD.name}", {"seq": seq, "no_erase": True})


def _letter(message: Message) -> DeadLetter:
    headers = message.headers
    stream = headers.get(STREAM, "")
    return DeadLetter(
        seq=message.seq,
        at=message.at,
        subject=message.subject.removeprefix(subjects.dead(stream, "")),
        stream=stream,
        stream_seq=int(headers.get(STREAM_SEQ, "0")),
        consumer=headers.get(CONSUMER, ""),
        deliveries=int(headers.get(DELIVERIES, "0")),
        error=headers.get(ERROR, ""),
        body=message.body,
        headers={name: value for name, value in headers.items() if name not in _OURS and not name.startswith("Nats-")},
    )
