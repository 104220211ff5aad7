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


@pytest.mark.parametrize("conf", [SINGLE], ids=lambda conf: conf.name)
def test_nothing_in_it_is_a_secret(conf: Path) -> None:
    assert "password:" not in "".join(line for line in conf.read_text().splitlines() if not line.startswith("#"))
