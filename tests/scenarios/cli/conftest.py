"""The command line as operators run it: a process with an exit code; and a task made by the engine's own rules."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from conveyor.contracts import subjects
from conveyor.contracts.events import AnyEvent, IssueStarted, Origin
from conveyor.contracts.pipelines import default_pipeline
from conveyor.contracts.transition import TaskRecord
from conveyor.servicekit.bus import Bus, ConsumerSpec, Delivery, EventLog, TaskStore, consume
from conveyor.servicekit.nats_process import NatsProcess
from conveyor.stage_engine.core.decide import decide

STARTED_AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
COMMAND_S = 40.0


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.out)


Conveyor = Callable[..., Awaitable[Done]]


@pytest.fixture
def conveyor(nats: NatsProcess) -> Conveyor:
    """The command line against the bus of this test, to be awaited with the arguments."""

    async def run(*arguments: str) -> Done:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "conveyor.cli", "--nats", nats.url, *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(COMMAND_S):
            out, err = await process.communicate()
        done = Done(process.returncode or 0, out.decode(), err.decode())
        assert "Traceback" not in done.err
        return done

    return run


def fact(number: int) -> dict[str, Any]:
    """What every event carries, the `number`th of its test."""
    at = STARTED_AT + timedelta(seconds=number)
    return {
        "event_id": f"fact-{number}",
        "project": "shop",
        "key": "SHOP-1",
        "at": at,
        "received_at": at,
        "source": "plane",
        "origin": Origin.WEBHOOK,
        "trace_id": f"trace-{number}",
    }


class Decider:
    """A small engine: applies events by the real rules and commits, without gates, effects or runners."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.events = EventLog(bus)
        self.tasks = TaskStore(bus)

    async def tell(self, *events: AnyEvent) -> None:
        """Store facts and decide each at once."""
        for event in events:
            await self.apply((await self.events.publish(event)).seq, event)

    async def apply(self, seq: int, event: AnyEvent) -> None:
        stored = await self.tasks.load(event.project, event.key)
        task = stored.record.task if stored else None
        made = decide(default_pipeline(), task, event)
        if made.ignored or made.task is None:
            return
        after = msgspec.structs.replace(made.task, cursor=seq)
        record = TaskRecord(task=after, event=event, commands=made.commands, notes=made.notes)
        await self.tasks.commit(record, stored.seq if stored else 0)

    async def _ring(self, delivery: Delivery) -> None:
        found = await self.events.next_after(*subjects.address_of(delivery.subject), delivery.seq - 1)
        assert found is not None
        seq, event = found
        assert not isinstance(event, Exception)
        stored = await self.tasks.load(event.project, event.key)
        if stored is None or stored.record.task.cursor < seq:
            await self.apply(seq, event)

    @asynccontextmanager
    async def awake(self) -> AsyncIterator[None]:
        """Answer the doorbell under the engine's own consumer name."""
        stopping = asyncio.Event()
        spec = ConsumerSpec(stream="EVENTS", durable="engine-decide", subjects=("event.>",))
        loop = asyncio.create_task(consume(self.bus, spec, self._ring, concurrency=1, stopping=stopping))
        try:
            yield
        finally:
            stopping.set()
            await loop


@pytest.fixture
async def decider(bus: Bus) -> Decider:
    """A small engine, with SHOP-1 in analysis."""
    made = Decider(bus)
    await made.tell(IssueStarted(issue_id="issue-1", title="Greet people", **fact(1)))
    return made


@pytest.fixture
def facts() -> Callable[[int], dict[str, Any]]:
    """What the `n`th event of a test carries."""
    return fact
