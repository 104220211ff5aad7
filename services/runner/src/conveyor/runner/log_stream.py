"""The LOGS stream as the place where what agents print is kept, a chunk a message."""

from conveyor.servicekit.bus import Bus, wire


class LogStream:
    """The LOGS stream as a place for chunks."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def append(self, subject: str, chunk: bytes) -> None:
        """Store one chunk."""
        _, project, key, run_id = subject.split(".", 3)
        await wire.publish(self._bus, subject, chunk, {"Conveyor-Task": f"{project}/{key}", "Conveyor-Run": run_id})
