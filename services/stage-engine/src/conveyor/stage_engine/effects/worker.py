"""The effects loop: takes a command, checks it against the task as it is now, carries it out, reports if one waits."""

from collections.abc import Awaitable, Callable
from typing import Any

from conveyor.contracts import codec, ids
from conveyor.contracts.commands import AnyCommand, CheckHealth, Merge
from conveyor.contracts.errors import PermanentError
from conveyor.contracts.events import EffectFinished
from conveyor.contracts.task import Task, Waiting
from conveyor.servicekit import logs
from conveyor.servicekit.bus import Delivery, EventLog, TaskStore
from conveyor.servicekit.clock import Clock
from conveyor.stage_engine.telling import header

log = logs.get("effects")
AWAITED = {Merge: "merge", CheckHealth: "check_health"}
"""Effects whose end the task waits for, by the name their report carries."""

Effect = Callable[[Any, Task], Awaitable[dict[str, str] | None]]
"""Carries one command out. A dict is its result, None of an awaited one: nobody waits for it any more.

PermanentError: it cannot be done; TransientError: later.
"""


class EffectWorker:
    """Carries out the effects of one target."""

    def __init__(self, events: EventLog, tasks: TaskStore, clock: Clock, effects: dict[type, Effect]) -> None:
        self._events = events
        self._tasks = tasks
        self._clock = clock
        self._effects = effects

    async def __call__(self, delivery: Delivery) -> None:
        """Carry out one effect; when the task waits for it, its end is an event, be it good or bad."""
        command = codec.decode_command(delivery.body)
        effect = self._effects.get(type(command))
        if effect is None:
            raise PermanentError(f"{type(command).__name__} is no effect of this target: {delivery.subject}")
        stored = await self._tasks.load(command.project, command.key)
        if stored is None:
            raise PermanentError(f"{command.project}/{command.key}: there is no such task")
        task = stored.record.task
        if type(command) in AWAITED:
            await self._awaited(command, task, effect)
        else:
            await effect(command, task)
        log.info("effect", task=command.key, effect=type(command).__name__, command_id=command.command_id)

    async def _awaited(self, command: AnyCommand, task: Task, effect: Effect) -> None:
        if task.waiting is not Waiting.EFFECT or task.awaiting != command.command_id:
            log.info("drops an effect nobody waits for", task=command.key, command_id=command.command_id)
            return
        try:
            result = await effect(command, task)
        except PermanentError as error:
            await self._events.publish(self._report(command, succeeded=False, reason=str(error), result={}))
        else:
            if result is not None:
                await self._events.publish(self._report(command, succeeded=True, reason="", result=result))

    def _report(self, command: AnyCommand, *, succeeded: bool, reason: str, result: dict[str, str]) -> EffectFinished:
        event_id = ids.digest("engine", command.command_id, "finished")
        return EffectFinished(
            **header(command, event_id, self._clock.now()),
            command_id=command.command_id,
            effect=AWAITED[type(command)],
            succeeded=succeeded,
            reason=reason,
            result=result,
        )
