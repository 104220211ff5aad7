"""Three NATS servers with the configuration of deploy/kubernetes: streams have three copies, and one server may go."""

import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from conveyor.contracts.errors import ConveyorError
from conveyor.contracts.streams import BUCKETS, STREAMS
from conveyor.servicekit.bus import Bus, connect, provision
from conveyor.servicekit.sections import NatsSettings
from tests.rigs.nats_servers import DEPLOY, Server, free_port, moved, running

pytestmark = pytest.mark.behaviour("OP-9")
CONF = DEPLOY / "kubernetes" / "base" / "nats.conf"
Eventually = Callable[..., Awaitable[Any]]


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[dict[str, Server]]:
    """The three servers by name, running."""
    names = ("nats-0", "nats-1", "nats-2")
    inner = {name: free_port() for name in names}
    made = {}
    for name in names:
        port = free_port()
        changes = {r"(?m)^  listen: .*$": f"  listen: 127.0.0.1:{inner[name]}"}
        for other, at in inner.items():
            changes[rf"nats://{other}\.nats-headless:6222"] = f"nats://127.0.0.1:{at}"
        made[name] = Server(moved(CONF, tmp_path / name, port=port, changes=changes), port, {"POD_NAME": name})
    with running(*made.values()):
        yield made


@pytest.fixture
async def bus(servers: dict[str, Server], eventually: Eventually) -> AsyncIterator[Bus]:
    """A connection that knows all three servers, every stream made with three copies."""
    url = ",".join(server.url for server in servers.values())
    found = await connect(NatsSettings(url=url, replicas=3, connect_timeout_s=20), name="test")
    await eventually(lambda: made(found), timeout_s=30)
    yield found
    await found.close()


async def made(bus: Bus) -> bool:
    """Whether the cluster has elected whom it needs by now to make every stream."""
    try:
        await provision(bus, 3)
    except ConveyorError:
        return False
    return True


async def info(bus: Bus, stream: str) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(await bus.api(f"STREAM.INFO.{stream}", timeout_s=2))
    return found


async def stored(bus: Bus, number: int) -> bool:
    """Whether a message with this number is stored, now or before."""
    try:
        answer = await bus.request("dead.test", b"x", {"Nats-Msg-Id": f"number-{number}"}, timeout_s=2)
    except ConveyorError:
        return False
    return b'"seq"' in answer.data


async def caught_up(bus: Bus, stream: str) -> bool:
    """Whether all copies of a stream are the same."""
    try:
        replicas = (await info(bus, stream))["cluster"].get("replicas", [])
    except ConveyorError:
        return False
    return len(replicas) == 2 and all(one["current"] for one in replicas)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
async def test_streams_go_on_without_their_leader_and_it_catches_up(
    servers: dict[str, Server], bus: Bus, eventually: Eventually, number: signal.Signals
) -> None:
    for spec in STREAMS:
        assert (await info(bus, spec.name))["config"]["num_replicas"] == 3
    for bucket in BUCKETS:
        assert (await info(bus, f"KV_{bucket.name}"))["config"]["num_replicas"] == 3
    for one in range(20):
        await eventually(lambda one=one: stored(bus, one))
    leader = servers[(await info(bus, "DEAD"))["cluster"]["leader"]]
    leader.end(number)
    for one in range(20, 40):
        await eventually(lambda one=one: stored(bus, one), timeout_s=30)
    leader.start()
    await eventually(lambda: caught_up(bus, "DEAD"), timeout_s=30)
    assert (await info(bus, "DEAD"))["state"]["messages"] == 40
