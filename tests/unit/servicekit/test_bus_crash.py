"""What must survive: a consumer killed, a server killed, a connection cut."""

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from conveyor.contracts.errors import PermanentError, TransientError
from conveyor.servicekit.bus import (
    Bus,
    ConsumerSpec,
    Delivery,
    EventLog,
    Start,
    TaskStore,
    connect,
    connection,
    consume,
    follow,
    provision,
    scan,
)
from conveyor.servicekit.bus.consumer import ensure_consumer
from conveyor.servicekit.bus.pull import Puller
from conveyor.servicekit.ending import cancel_until_ended
from conveyor.servicekit.nats_process import NatsProcess
from conveyor.servicekit.sections import NatsSettings

Make = Callable[..., Any]
SPEC = ConsumerSpec(stream="EVENTS", durable="decide", subjects=("event.>",), ack_wait_s=1.5)

KILLED = """
import asyncio, sys
from conveyor.servicekit.bus import ConsumerSpec, connect, consume
from conveyor.servicekit.sections import NatsSettings

async def main() -> None:
    bus = await connect(NatsSettings(url=sys.argv[1]), name="killed")
    async def handle(delivery) -> None:
        print(delivery.seq, flush=True)
        await asyncio.sleep(60)
    spec = ConsumerSpec(stream="EVENTS", durable="decide", subjects=("event.>",), ack_wait_s=1.5)
    await consume(bus, spec, handle, concurrency=1, stopping=asyncio.Event())

asyncio.run(main())
"""


async def publish_all(log: EventLog, event: Make, acknowledged: set[int]) -> None:
    """Publish 400 events, each until it is acknowledged."""
    for number in range(1, 401):
        stored = None
        while stored is None:
            try:
                stored = await log.publish(event(f"SHOP-{number % 7 + 1}", number))
            except TransientError:
                await asyncio.sleep(0.02)  # waits: before the publisher tries again
        acknowledged.add(stored.seq)


async def test_what_a_killed_consumer_held_is_delivered_to_another_within_ack_wait(
    bus: Bus, nats: NatsProcess, event: Make, eventually: Make, tmp_path: Path
) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    await EventLog(bus).publish(event())
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), nats.url, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"1\n"
    process.send_signal(signal.SIGKILL)
    await process.wait()
    seen: list[int] = []

    async def handle(delivery: Delivery) -> None:
        seen.append(delivery.delivered)

    stopping = asyncio.Event()
    task = asyncio.create_task(consume(bus, SPEC, handle, stopping=stopping))
    await eventually(lambda: seen == [2], timeout_s=SPEC.ack_wait_s + 1)
    stopping.set()
    await task


async def test_a_killed_server_loses_nothing_acknowledged_and_everybody_goes_on(
    own_nats: NatsProcess, event: Make, record: Make, eventually: Make
) -> None:
    bus = await connect(NatsSettings(url=own_nats.url), name="test")
    await provision(bus)
    log, acknowledged, handled, followed = EventLog(bus), set[int](), set[int](), list[int]()
    stopping = asyncio.Event()

    async def handle(delivery: Delivery) -> None:
        handled.add(delivery.seq)

    async def watch() -> None:
        async for message in follow(bus, "EVENTS", ("event.>",), start=Start.ALL):
            seq = message.seq
            followed.append(seq)

    consuming = asyncio.create_task(consume(bus, SPEC, handle, concurrency=16, stopping=stopping))
    watching = asyncio.create_task(watch())
    publishing = asyncio.create_task(publish_all(log, event, acknowledged))
    for already in (100, 250):
        await eventually(lambda already=already: len(acknowledged) >= already, timeout_s=20)
        await own_nats.kill()
        await own_nats.start()
    async with asyncio.timeout(30):
        await publishing
    assert acknowledged == set(range(1, 401))
    await eventually(lambda: handled >= acknowledged, timeout_s=15)
    await eventually(lambda: followed and followed[-1] == 400, timeout_s=15)
    assert followed == list(range(1, 401))
    assert len([message async for message in scan(bus, "EVENTS", ("event.>",))]) == 400
    await TaskStore(bus).commit(record(), 0)
    stopping.set()
    await consuming
    watching.cancel()
    await asyncio.wait({watching})
    await bus.close()


async def test_requests_in_flight_fail_when_the_connection_breaks_not_at_their_timeout(
    own_nats: NatsProcess, eventually: Make
) -> None:
    bus = await connect(NatsSettings(url=own_nats.url), name="test")

    async def silent(_: Any) -> None:
        return

    await bus.subscribe("silent", silent)
    asking = asyncio.create_task(bus.request("silent", b"", None, 60))
    await asyncio.sleep(0.1)  # waits: until the question is under way; the outcome is the same before
    await own_nats.kill()
    with pytest.raises(TransientError, match="unknown"):
        async with asyncio.timeout(5):
            await asking
    assert not bus.is_connected
    with pytest.raises(TransientError, match="not connected"):
        await bus.request("silent", b"", None, 0.2)
    waiting = asyncio.create_task(bus.api("INFO", timeout_s=10))
    await own_nats.start()
    assert b"memory" in await waiting  # a request made meanwhile waits for the connection and goes out then
    await bus.close()


@pytest.mark.parametrize("ends", [False, True])
async def test_an_outage_leaves_no_subscription_behind(own_nats: NatsProcess, eventually: Make, ends: bool) -> None:
    """The library subscribes anew to all it knows after every outage: what is not taken back is kept for ever."""
    bus = await connect(NatsSettings(url=own_nats.url), name="test")
    await provision(bus)
    before = len(bus.client._subs)
    puller = Puller(bus, SPEC.stream, lambda: ensure_consumer(bus, SPEC), lambda _message: None)
    pulling = asyncio.create_task(puller.run())
    puller.want(1)
    await eventually(lambda: len(bus.client._subs) == before + 1)
    await own_nats.kill()
    await eventually(lambda: not bus.is_connected)
    puller.restart()
    if ends:
        await cancel_until_ended(pulling)
        await puller.stop()
    else:
        await eventually(lambda: puller._subscription is None)
    await own_nats.start()
    await eventually(lambda: bus.is_connected)
    await eventually(lambda: ends or puller._subscription is not None)
    assert len(bus.client._subs) == before + (not ends)
    await cancel_until_ended(pulling)
    await bus.close()


async def test_a_service_ends_when_its_connection_will_never_come_back(
    own_nats: NatsProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library's task that reconnects dies of what it does not expect; a service would wait for it for ever."""
    monkeypatch.setattr(connection, "WATCH_S", 0.05)
    bus = await connect(NatsSettings(url=own_nats.url), name="test")
    watching = asyncio.create_task(bus.watch(asyncio.Event()))

    async def surprise() -> None:
        raise RuntimeError("the transport is closed")

    monkeypatch.setattr(bus.client, "_select_next_server", surprise)
    await own_nats.kill()
    with pytest.raises(PermanentError, match="will not come back"):
        async with asyncio.timeout(10):
            await watching
    reconnecting = bus.client._reconnection_task
    assert reconnecting is not None
    assert isinstance(reconnecting.exception(), RuntimeError)
    await bus.close()


async def test_a_service_ends_when_it_could_never_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "WATCH_S", 0.05)
    bus = await connect(NatsSettings(url="nats://[half-an-address"), name="test", wait_s=0)
    with pytest.raises(PermanentError, match="cannot connect to NATS"):
        async with asyncio.timeout(10):
            await bus.watch(asyncio.Event())
    await bus.close()
    with pytest.raises(PermanentError, match="cannot connect to NATS"):
        await connect(NatsSettings(url="nats://[half-an-address"), name="test")


async def test_a_service_may_start_before_its_server(tmp_path: Path, eventually: Make) -> None:
    server = NatsProcess(tmp_path / "later")
    await server.start()
    await server.stop()
    with pytest.raises(TransientError, match=r"no NATS server at .* after 0.3 s"):
        await connect(NatsSettings(url=server.url), name="test", wait_s=0.3)
    bus = await connect(NatsSettings(url=server.url), name="test", wait_s=0)
    assert not bus.is_connected
    await server.start()
    await eventually(lambda: bus.is_connected)
    await provision(bus)
    await bus.close()
    await server.stop()


async def test_a_server_dies_with_its_parent_however_that_ends(tmp_path: Path, eventually: Make) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import asyncio, sys\nfrom pathlib import Path\nfrom conveyor.servicekit.nats_process import NatsProcess\n"
        "async def main() -> None:\n    server = NatsProcess(Path(sys.argv[1]))\n    await server.start()\n"
        "    print(server.pid, flush=True)\n    await asyncio.sleep(60)\nasyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, str(script), str(tmp_path / "data"), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    parent.kill()
    await parent.wait()
    await eventually(lambda: not _is_alive(pid))


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def test_a_server_that_cannot_start_says_why(own_nats: NatsProcess, tmp_path: Path) -> None:
    port = int(own_nats.url.rpartition(":")[2])
    with pytest.raises(Exception, match="address already in use"):
        await NatsProcess(tmp_path / "second", port=port).start()


async def test_monitoring_is_served_on_a_free_port(tmp_path: Path) -> None:
    async with NatsProcess(tmp_path / "monitored", monitor_port=0) as server:
        assert server.monitor_url.startswith("http://127.0.0.1:")
    assert msgspec.json.encode(server.directory.name) == b'"monitored"'


async def test_a_consumer_changes_also_right_after_the_server_has_started(own_nats: NatsProcess) -> None:
    """The server answers the first change after its start with the old configuration."""
    bus = await connect(NatsSettings(url=own_nats.url), name="changing")
    await provision(bus)
    await ensure_consumer(bus, SPEC)
    await own_nats.stop()
    await own_nats.start()
    await bus.wait_connected()
    await ensure_consumer(bus, msgspec.structs.replace(SPEC, ack_wait_s=7))
    info = msgspec.json.decode(await bus.api(f"CONSUMER.INFO.{SPEC.stream}.{SPEC.durable}"))
    assert info["config"]["ack_wait"] == 7_000_000_000
    await bus.close()
