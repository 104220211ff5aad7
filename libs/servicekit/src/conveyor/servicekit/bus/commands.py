"""COMMANDS: work, each command on a subject of its own so that its twin is refused; and timers, beside the events."""

from conveyor.contracts import codec, streams, subjects
from conveyor.contracts.commands import AnyCommand, ArmTimer
from conveyor.contracts.errors import PermanentError, TransientError
from conveyor.contracts.events import TimerFired
from conveyor.contracts.ids import stamp
from conveyor.servicekit.bus import wire
from conveyor.servicekit.bus.connection import Bus
from conveyor.servicekit.bus.errors import Conflict

_TRIES = 5


class CommandQueue:
    """Publishes commands and arms timers; both may be repeated safely."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def publish(self, command: AnyCommand) -> bool:
        """Queue a command once: True when it is new, False when it is there already.

        TransientError: unknown, publish it again. A timer is no work: PermanentError, `arm` is for it.
        """
        if isinstance(command, ArmTimer):
            raise PermanentError(f"{command.command_id} is a timer: arm it")
        subject = subjects.command(command)
        headers = codec.headers(command)
        headers[wire.EXPECTED_LAST] = "0"
        body = codec.encode(command)
        for _ in range(_TRIES):
            try:
                await wire.publish(self._bus, subject, body, headers)
            except Conflict:
                # "A write is in flight" is told like "it is there": believe only what can be read back.
                if await wire.read(self._bus, streams.COMMANDS.name, {"last_by_subj": subject}) is not None:
                    return False
            else:
                return True
        raise TransientError(f"{subject}: a write was in flight {_TRIES} times in a row")

    async def arm(self, timer: ArmTimer, fires: TimerFired) -> None:
        """Let the server publish `fires` at the timer's time (up to 250 ms late, never early).

        Arming again before it fired changes nothing; a time that is past fires at once.
        """
        headers = codec.headers(fires)
        headers["Nats-Schedule"] = f"@at {stamp(timer.fires_at)}"
        headers["Nats-Schedule-Target"] = subjects.event(fires)
        headers[wire.MSG_ID] = f"arm-{timer.command_id}"
        await wire.publish(self._bus, subjects.command(timer), codec.encode(fires), headers)
