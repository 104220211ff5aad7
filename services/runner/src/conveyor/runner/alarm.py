"""Alerts of the runner's own: a notification ordered from the engine's effects, which know whom to tell and how."""

from conveyor.contracts.commands import Level, Notify, StartRun
from conveyor.contracts.errors import TransientError
from conveyor.contracts.ids import digest
from conveyor.servicekit import logs
from conveyor.servicekit.bus import CommandQueue
from conveyor.servicekit.clock import Clock

_log = logs.get("runner.alarm")


class Alarm:
    """Called with the run on whose occasion it is raised; the same text is told once."""

    def __init__(self, commands: CommandQueue, clock: Clock) -> None:
        self._commands = commands
        self._clock = clock

    async def __call__(self, command: StartRun, text: str) -> None:
        """Order the notification; never raises, since the log has it too."""
        order = Notify(
            command_id=digest("runner", "alarm", text),
            project=command.project,
            key=command.key,
            revision=command.revision,
            trace_id=command.trace_id,
            issued_at=self._clock.now(),
            issue_id=command.issue_id,
            text=text,
            level=Level.ALERT,
        )
        try:
            await self._commands.publish(order)
        except TransientError as error:
            _log.warning("alert not ordered", text=text, reason=str(error))
