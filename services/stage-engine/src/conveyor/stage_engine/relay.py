"""The relay: follows TASKS and publishes each revision's commands in order. It may repeat itself; twins are refused.

It also keeps the lookup bucket, by which the gateway finds the task behind an issue or a commit.
"""

from conveyor.contracts import codec, ids
from conveyor.contracts.commands import ArmTimer, StartRun
from conveyor.contracts.events import IssueStarted, Origin, TimerFired
from conveyor.contracts.transition import TaskRecord
from conveyor.servicekit.bus import Bucket, CommandQueue, Delivery

HEADS = 4096
"""How many tasks' commits are remembered as written, so that one is written once and not at every revision."""


class Relay:
    """Publishes what transitions order."""

    def __init__(self, queue: CommandQueue, lookup: Bucket) -> None:
        self._queue = queue
        self._lookup = lookup
        self._heads: dict[str, str] = {}

    async def __call__(self, delivery: Delivery) -> None:
        """Publish the commands of one revision; return when all of them are stored.

        The run goes first: it has queues of its own and somebody waits for it. Effects follow in the order given.
        """
        record = codec.decode_record(delivery.body)
        for command in sorted(record.commands, key=lambda command: not isinstance(command, StartRun)):
            if isinstance(command, ArmTimer):
                await self._queue.arm(command, timer_event(command))
            else:
                await self._queue.publish(command)
        await self._remember(record)

    async def _remember(self, record: TaskRecord) -> None:
        task = record.task
        if isinstance(record.event, IssueStarted):
            await self._lookup.put(f"issue.{task.issue_id}", task.key.encode())
        name = f"{task.project}/{task.key}"
        if task.head and self._heads.get(name) != task.head:
            await self._lookup.put(f"commit.{task.head}", name.encode())
            self._heads[name] = task.head
            if len(self._heads) > HEADS:
                self._heads.pop(next(iter(self._heads)))


def timer_event(command: ArmTimer) -> TimerFired:
    """Return the event a timer fires: its id is the timer's, so firing twice is one fact."""
    return TimerFired(
        event_id=ids.digest("timer", command.command_id),
        project=command.project,
        key=command.key,
        at=command.fires_at,
        received_at=command.fires_at,
        source="timer",
        origin=Origin.TIMER,
        trace_id=command.trace_id,
        timer=command.timer,
        run_id=command.run_id,
        revision=command.revision,
    )
