"""A gateway as a process of its own to kill, and senders that go on telling about their tasks whatever happens."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx

from conveyor.servicekit.clock import SYSTEM_CLOCK
from conveyor.servicekit.nats_process import die_with_parent
from tests.conftest import wait_until
from tests.scenarios.gateway.house import OLD, signed

CONFIGURATION = """\
[nats]
url = "{nats_url}"
[log]
format = "json"
[plane]
url = "http://127.0.0.1:9"
workspace = "acme"
api_key = "nobody-is-asked"
webhook_secret = "{secret}"
bot_user_id = "bot"
[[project]]
name = "shop"
tracker_project_id = "p1"
identifier = "SHOP"
repository = "acme/shop"
[gateway]
port = {port}
"""
PACE_S = 0.02
"""Between two deliveries of one sender; longer while nobody answers."""
ATTEMPTS = 200


def renamed(number: int, title: str) -> bytes:
    """Plane's word that somebody renamed issue `number`."""
    at = (SYSTEM_CLOCK.now() - timedelta(seconds=1)).isoformat()
    actor = {"id": "ada", "display_name": "Ada"}
    data = {
        "id": f"i{number}",
        "project": "p1",
        "sequence_id": number,
        "name": title,
        "state": {"id": "s1", "name": "Todo", "group": "unstarted"},
        "created_at": at,
        "updated_at": at,
    }
    activity = {"field": "name", "old_value": "", "new_value": title, "actor": actor}
    return json.dumps({"event": "issue", "action": "updated", "data": data, "activity": activity}).encode()


class GatewayProcess:
    """`python -m conveyor.gateway` on one port and one spool, however often it is killed."""

    def __init__(self, folder: Path, nats_url: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._folder = folder
        self._config = folder / "conveyor.toml"
        self._config.write_text(CONFIGURATION.format(nats_url=nats_url, secret=OLD, port=self._port))
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self._port}"

    @property
    def spool(self) -> Path:
        return self._folder / ".conveyor" / "spool" / "plane"

    @property
    def log(self) -> Path:
        return self._folder / "gateway.log"

    async def start(self) -> None:
        """Start it and wait until it answers; it needs no bus for that."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - spawning takes a millisecond
                [sys.executable, "-m", "conveyor.gateway", "--config", str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - one prctl, prepared beforehand
            )
        process = self._process
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as client:

            async def answers() -> bool:
                assert process.poll() is None, self.log.read_text()
                return await _answers(client)

            await wait_until(answers, timeout_s=20)

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it as an operator would."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            os.kill(process.pid, number)
            process.wait(10)

    async def depth(self) -> float:
        """How many deliveries wait."""
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as client:
            page = (await client.get("/metrics")).text
        (line,) = (one for one in page.splitlines() if one.startswith('conveyor_gateway_spool_deliveries{source="p'))
        return float(line.rpartition(" ")[2])


async def _answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/healthz")).is_success
    except httpx.TransportError:
        return False


@dataclass
class Senders:
    """One sender a task, each telling the next thing once the last was accepted, as Plane would try again."""

    url: str
    tasks: int
    answers: Counter[str] = field(default_factory=Counter)
    accepted: Counter[int] = field(default_factory=Counter)
    """How many of its things each task got accepted."""
    slowest_s: float = 0.0

    async def tell_until(self, enough: asyncio.Event) -> None:
        """Go on until told to stop; what was begun is told to its end."""
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=10) as client:
            await asyncio.gather(*(self._tell(client, number, enough) for number in range(1, self.tasks + 1)))

    async def _tell(self, client: httpx.AsyncClient, number: int, enough: asyncio.Event) -> None:
        while not enough.is_set():
            body = renamed(number, str(self.accepted[number]))
            for attempt in range(ATTEMPTS):
                await asyncio.sleep(PACE_S * min(attempt + 1, 5))  # waits: for the next delivery, or the next attempt
                if await self._accepted(client, body):
                    break
            else:
                raise AssertionError(f"not accepted in {ATTEMPTS} attempts: {self.answers}")
            self.accepted[number] += 1

    async def _accepted(self, client: httpx.AsyncClient, body: bytes) -> bool:
        begun = SYSTEM_CLOCK.monotonic()
        try:
            answer = await client.post("/webhook/plane", content=body, headers=signed(body))
        except httpx.TransportError:
            self.answers["none"] += 1
            return False
        self.slowest_s = max(self.slowest_s, SYSTEM_CLOCK.monotonic() - begun)
        self.answers[answer.json()["status"]] += 1
        assert answer.status_code in {200, 202}, answer.text
        return True
