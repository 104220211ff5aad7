"""The configuration of the NATS server that ships: the real server takes it, and holds everything we ask of a bus."""

import subprocess
from pathlib import Path

import httpx
import msgspec
import pytest

from conveyor.contracts.streams import LOGS
from conveyor.servicekit.bus import connect, provision, ready
from conveyor.servicekit.nats_process import server_binary
from conveyor.servicekit.sections import NatsSettings
from tests.rigs.nats_servers import DEPLOY, Server, free_port, moved, running

SINGLE = DEPLOY / "nats.conf"
CLUSTER = DEPLOY / "kubernetes" / "base" / "nats.conf"


def test_the_server_finds_nothing_wrong_with_it() -> None:
    done = subprocess.run([server_binary(), "--config", str(SINGLE), "-t"], capture_output=True, text=True, check=False)
    assert (done.returncode, "is valid" in done.stderr) == (0, True), done.stderr


async def test_a_server_with_it_holds_every_stream_and_syncs_each_message(tmp_path: Path) -> None:
    port = free_port()
    with running(Server(moved(SINGLE, tmp_path, port=port), port)) as (server,):
        bus = await connect(NatsSettings(url=server.url, connect_timeout_s=15), name="test")
        try:
            await provision(bus)
            await ready(bus)
            account = msgspec.json.decode(await bus.api("INFO"))
            assert account["storage"] >= 0
            monitor = [line for line in server.conf.read_text().splitlines() if line.startswith("http: ")]
            varz = await fetched(monitor[0].removeprefix("http: "), "/varz")
        finally:
            await bus.close()
    jetstream = varz["jetstream"]["config"]
    assert jetstream["sync_always"] is True
    assert jetstream["max_storage"] > LOGS.max_bytes, "LOGS reserves its size"
    assert varz["server_name"] == "conveyor-nats"


async def fetched(address: str, path: str) -> dict[str, dict[str, dict[str, object]]]:
    """The monitoring page of a server."""
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://{address}{path}")
    pages: dict[str, dict[str, dict[str, object]]] = answer.json()
    return pages


@pytest.mark.parametrize("conf", [SINGLE, CLUSTER], ids=lambda conf: conf.parent.name)
def test_nothing_in_it_is_a_secret(conf: Path) -> None:
    assert "password:" not in "".join(line for line in conf.read_text().splitlines() if not line.startswith("#"))


def test_the_servers_of_a_cluster_have_the_same_settings_as_one_alone() -> None:
    """What stands once more beside the manifests must not drift; a name per pod and the cluster are its own."""
    alone, clustered = (settings(conf) for conf in (SINGLE, CLUSTER))
    assert alone["server_name:"] != clustered.pop("server_name:")
    del alone["server_name:"]
    assert alone == clustered


def settings(conf: Path) -> dict[str, str]:
    """Every setting of a file by its name, but for the cluster's."""
    lines = [line.strip() for line in conf.read_text().partition("\ncluster {")[0].splitlines()]
    return {line.split()[0]: line for line in lines if line and not line.startswith(("#", "}"))}
