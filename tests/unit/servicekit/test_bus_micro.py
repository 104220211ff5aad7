import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from conveyor.contracts.errors import TransientError
from conveyor.servicekit.bus import Bus, ask, connect, register, serve
from conveyor.servicekit.nats_process import NatsProcess
from conveyor.servicekit.sections import NatsSettings

Make = Callable[..., Any]


@pytest.mark.behaviour("OP-6")
async def test_a_service_answers_as_a_nats_micro_service(bus: Bus) -> None:
    async def status(body: bytes) -> bytes:
        return b"fine, " + body

    end = await register(bus, "runner", "0.1.0", {"status": status})
    ping = msgspec.json.decode((await bus.request("$SRV.PING.conveyor-runner", b"")).data)
    assert (ping["name"], ping["version"]) == ("conveyor-runner", "0.1.0")
    info = msgspec.json.decode((await bus.request("$SRV.INFO", b"")).data)
    assert info["endpoints"][0]["subject"] == "conveyor.runner.status"
    assert await ask(bus, "conveyor.runner.status", b"thank you") == b"fine, thank you"
    stats = msgspec.json.decode((await bus.request("$SRV.STATS.conveyor-runner", b"")).data)
    assert stats["endpoints"][0]["num_requests"] == 1
    await end()
    assert await ask(bus, "conveyor.runner.status") is None


async def test_a_question_nobody_can_answer_is_answered_with_none_at_once(bus: Bus) -> None:
    at = asyncio.get_running_loop().time()
    assert await ask(bus, "ctl.run.nobody", b"alive?", timeout_s=30) is None
    assert asyncio.get_running_loop().time() - at < 1


async def test_questions_are_answered_until_the_answering_ends(bus: Bus) -> None:
    async def later(body: bytes) -> bytes:
        await asyncio.sleep(0)
        return body.upper()

    ends = [await serve(bus, "ctl.run.a", lambda body: b"yes " + body), await serve(bus, "ctl.run.b", later)]
    assert await ask(bus, "ctl.run.a", b"alive?") == b"yes alive?"
    assert await ask(bus, "ctl.run.b", b"alive?") == b"ALIVE?"
    for end in ends:
        await end()
    assert await ask(bus, "ctl.run.a") is None


async def test_who_stopped_answering_during_an_outage_does_not_answer_after_it(
    own_nats: NatsProcess, eventually: Any
) -> None:
    """Else a runner would be taken for the owner of a run for ever, and nobody would take it over."""
    bus = await connect(NatsSettings(url=own_nats.url), name="test")
    end = await serve(bus, "ctl.run.a", lambda _body: b"yes")
    assert await ask(bus, "ctl.run.a") == b"yes"
    await own_nats.kill()
    await eventually(lambda: not bus.is_connected)
    await end()
    await own_nats.start()
    await eventually(lambda: bus.is_connected)
    assert await ask(bus, "ctl.run.a") is None
    await bus.close()


async def test_an_owner_that_does_not_answer_in_time_is_an_error_not_nobody(bus: Bus) -> None:
    async def stuck(_: bytes) -> bytes:
        await asyncio.sleep(30)  # waits: an owner that never answers
        return b""

    await serve(bus, "ctl.run.a", stuck)
    with pytest.raises(TransientError, match="no answer"):
        await ask(bus, "ctl.run.a", timeout_s=0.1)
