"""P2: from the answer to a webhook to the run command in a runner's hands, through real gateway and engine processes.

Issues are moved to the start one after the other; a stand-in for a runner takes their commands as a runner does.
"""

import asyncio
import itertools
import statistics
from datetime import datetime
from pathlib import Path

import httpx
import msgspec
from msgspec import Struct

from conveyor.contracts import codec, streams, subjects
from conveyor.contracts.commands import Priority, StartRun
from conveyor.servicekit.bus import Bus, ConsumerSpec, Delivery, consume_by_priority, scan
from conveyor.servicekit.clock import SYSTEM_CLOCK
from tests.benchmarks import ground
from tests.benchmarks.figures import Figure, figure, median, note, percentile
from tests.benchmarks.pretenders import IDENTIFIER, REPOSITORY, SECRET, Outside, Webhook

GOAL_P50_MS = 25.0
PAUSE_S = 0.1
"""Between two webhooks, so that what one sets off beside the run does not stand in the way of the next."""
TIMEOUT_S = 30.0
SLOTS = 8
CONFIGURATION = """\
[nats]
url = "{nats_url}"
[log]
format = "json"
[plane]
url = "{outside.plane_url}"
workspace = "{outside.workspace}"
api_key = "{outside.api_key}"
webhook_secret = "{secret}"
[gitea]
url = "{outside.gitea_url}"
token = "{outside.token}"
[[project]]
name = "bench"
tracker_project_id = "{outside.tracker_project_id}"
identifier = "{identifier}"
repository = "{repository}"
[gateway]
port = {port}
"""


class Size(Struct, frozen=True, kw_only=True):
    """How much is done."""

    rounds: int = 3
    webhooks: int = 100
    warm_up: int = 5
    """Webhooks of each round that are sent before and not counted."""


class StandIn:
    """Takes run commands as a runner does and notes when it had each in hand."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._taken: dict[str, asyncio.Future[float]] = {}
        self.in_hand_at: dict[str, datetime] = {}
        """The same by the clock on the wall, to compare with the times of stored messages."""

    async def run(self, stopping: asyncio.Event) -> None:
        specs = [
            ConsumerSpec(
                stream=streams.COMMANDS.name,
                durable=f"runner-default-{priority}",
                subjects=(subjects.runs_of("default", priority),),
            )
            for priority in (Priority.HIGH, Priority.NORMAL, Priority.LOW)
        ]
        await consume_by_priority(self._bus, specs, self._take, slots=lambda: SLOTS, stopping=stopping)

    def taken(self, key: str) -> "asyncio.Future[float]":
        """Return when the run command of this task was in hand: seconds of the process's clock."""
        return self._taken.setdefault(key, asyncio.get_running_loop().create_future())

    async def _take(self, delivery: Delivery) -> None:
        now = SYSTEM_CLOCK.monotonic()
        command = codec.decode_command(delivery.body)
        if isinstance(command, StartRun):
            self.in_hand_at[command.key] = SYSTEM_CLOCK.now()
            self.taken(command.key).set_result(now)


async def measure(size: Size | None = None) -> tuple[Figure, ...]:
    """Return the median and the 99th percentile over all webhooks, in milliseconds."""
    size = size or Size()
    rounds = [await _round(size) for _ in range(size.rounds)]
    p50 = median("P2.p50", "ms", [percentile(one, 0.5) for one in rounds])
    p99 = median("P2.p99", "ms", [percentile(one, 0.99) for one in rounds])
    note(
        f"P2: all webhooks: min {min(min(one) for one in rounds):.1f} ms, max {max(max(one) for one in rounds):.1f} ms"
    )
    return figure("P2.p50", p50, "ms", GOAL_P50_MS), figure("P2.p99", p99, "ms")


async def _round(size: Size) -> list[float]:
    async with ground.folder() as where, ground.server_and_bus(where) as (server, bus):
        arguments = (str(size.warm_up + size.webhooks), str(where / "outside.json"))
        async with ground.process("tests.benchmarks.pretenders", *arguments, log=where / "outside.log"):
            outside = await _told(where / "outside.json")
            port = ground.free_port()
            configuration = where / "conveyor.toml"
            text = CONFIGURATION.format(
                nats_url=server.url,
                outside=outside,
                secret=SECRET,
                identifier=IDENTIFIER,
                repository=REPOSITORY,
                port=port,
            )
            configuration.write_text(text)
            async with (
                ground.process("conveyor.gateway", "--config", str(configuration), log=where / "gateway.log"),
                ground.process("conveyor.stage_engine", "--config", str(configuration), log=where / "engine.log"),
            ):
                return await _latencies_ms(bus, f"http://127.0.0.1:{port}", outside.webhooks, size.warm_up)


async def _told(path: Path) -> Outside:
    await ground.until(lambda: asyncio.to_thread(path.exists), "the simulated servers")
    return msgspec.json.decode(await asyncio.to_thread(path.read_bytes), type=Outside)


async def _latencies_ms(bus: Bus, gateway: str, webhooks: tuple[Webhook, ...], warm_up: int) -> list[float]:
    stand_in, stopping = StandIn(bus), asyncio.Event()
    taking = asyncio.create_task(stand_in.run(stopping))
    found = []
    async with httpx.AsyncClient(base_url=gateway, timeout=TIMEOUT_S, trust_env=False) as client:
        await ground.until(lambda: _is_ready(client), "the gateway")
        for webhook in webhooks:
            found.append(await _latency_ms(client, stand_in, webhook))
            await SYSTEM_CLOCK.sleep(PAUSE_S)
    stopping.set()
    await taking
    await _note_steps(bus, stand_in.in_hand_at)
    return found[warm_up:]


async def _note_steps(bus: Bus, in_hand_at: dict[str, datetime]) -> None:
    """Tell where the time goes: medians between what was stored, by the server's times, and the end."""
    marks = [
        await _stored(bus, streams.EVENTS, "event.>"),
        await _stored(bus, streams.TASKS, "task.>"),
        await _stored(bus, streams.COMMANDS, "command.run.>"),
        in_hand_at,
    ]
    steps = [
        statistics.median((late[key] - early[key]).total_seconds() * 1000 for key in in_hand_at)
        for early, late in itertools.pairwise(marks)
    ]
    note("P2: event to transition {:.1f}, to command {:.1f}, to hand {:.1f} ms (medians)".format(*steps))


async def _stored(bus: Bus, stream: streams.StreamSpec, subject: str) -> dict[str, datetime]:
    """Return when the first message about each task was stored."""
    found: dict[str, datetime] = {}
    async for message in scan(bus, stream.name, (subject,)):
        found.setdefault(message.headers["Conveyor-Task"].rpartition("/")[2], message.at)
    return found


async def _is_ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/readyz")).is_success
    except httpx.TransportError:
        return False


async def _latency_ms(client: httpx.AsyncClient, stand_in: StandIn, webhook: Webhook) -> float:
    headers = {
        "Content-Type": "application/json",
        "X-Plane-Event": "issue",
        "X-Plane-Delivery": webhook.key,
        "X-Plane-Signature": webhook.signature,
    }
    answer = await client.post("/webhook/plane", content=webhook.body.encode(), headers=headers)
    answered = SYSTEM_CLOCK.monotonic()
    if answer.status_code != httpx.codes.OK:
        raise RuntimeError(f"the gateway answered {answer.status_code}: {answer.text}")
    async with asyncio.timeout(TIMEOUT_S):
        return (await stand_in.taken(webhook.key) - answered) * 1000
