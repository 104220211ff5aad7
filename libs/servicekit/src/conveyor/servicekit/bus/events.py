"""EVENTS: facts about tasks, stored once each, read back task by task in the order they were stored."""

from datetime import datetime

from conveyor.contracts import codec, streams, subjects
from conveyor.contracts.errors import MessageError
from conveyor.contracts.events import AnyEvent
from conveyor.servicekit.bus import wire
from conveyor.servicekit.bus.connection import REQUEST_TIMEOUT_S, Bus
from conveyor.servicekit.bus.follow import scan
from conveyor.servicekit.bus.wire import Stored


class EventLog:
    """Publishes and reads events."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def publish(self, event: AnyEvent, timeout_s: float = REQUEST_TIMEOUT_S) -> Stored:
        """Store a fact once; `duplicate` says that it was there already. TransientError: try again, it is safe."""
        headers = codec.headers(event)
        headers[wire.MSG_ID] = event.event_id
        ack = await wire.publish(self._bus, subjects.event(event), codec.encode(event), headers, timeout_s)
        return Stored(seq=ack.seq, duplicate=ack.duplicate)

    async def next_after(self, project: str, key: str, seq: int) -> tuple[int, AnyEvent | MessageError] | None:
        """Return the task's first event behind `seq` with its sequence; None when there is none.

        Asked of the stream's leader. An event that cannot be read comes as the MessageError that says why.
        """
        found = await wire.read_raw(
            self._bus,
            streams.EVENTS.name,
            {"seq": seq + 1, "next_by_subj": subjects.events_of(project, key)},
        )
        return None if found is None else (found.seq, _decoded(found.data))

    async def history(self, project: str, key: str) -> list[tuple[int, datetime, AnyEvent | MessageError]]:
        """Return every event of a task, oldest first, with sequence and the time it was stored."""
        wanted = (subjects.events_of(project, key),)
        return [
            (message.seq, message.at, _decoded(message.body))
            async for message in scan(self._bus, streams.EVENTS.name, wanted)
        ]


def _decoded(body: bytes) -> AnyEvent | MessageError:
    try:
        return codec.decode_event(body)
    except MessageError as error:
        return error
