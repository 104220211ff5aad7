import asyncio
import signal
import sys
from pathlib import Path

import pytest

from conveyor.servicekit.lifecycle import Service

CHILD = """
import asyncio, sys
from msgspec import Struct
from conveyor.servicekit.lifecycle import Service, service_main
from conveyor.servicekit.sections import LogSettings

class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    log: LogSettings = LogSettings(format="json")
    drain_s: float = 0.1
    grace_s: float = 20.0

async def start(service: Service, settings: Settings) -> None:
    async def loop() -> None:
        print("up", flush=True)
        await service.stopping.wait()
        print("draining", flush=True)
        await asyncio.sleep(settings.drain_s)
        print("drained", flush=True)
    async def closing() -> None:
        print("closed", flush=True)
    service.resources.push_async_callback(closing)
    service.spawn("loop", loop())

service_main("sample", Settings, start, sys.argv[1:], grace_s=lambda settings: settings.grace_s)
"""


DEAF = """
import asyncio
from msgspec import Struct
from conveyor.servicekit import lifecycle
from conveyor.servicekit.sections import LogSettings

class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    log: LogSettings = LogSettings(format="json")

async def deaf() -> None:
    while True:
        try:
            print("up", flush=True)
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass

async def start(service: lifecycle.Service, settings: Settings) -> None:
    service.resources.push_async_callback(deaf)
    service.spawn("deaf", deaf())

lifecycle.ABORT_S = lifecycle.LAST_CALL_S = lifecycle.CLOSE_S = 0.1
lifecycle.service_main("sample", Settings, start, [], grace_s=lambda _settings: 0.1)
"""
"""What hears no cancellation, neither when the service drains nor when it closes."""


async def child(tmp_path: Path, *arguments: str, source: str = CHILD) -> asyncio.subprocess.Process:
    script = tmp_path / "sample.py"
    script.write_text(source)
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(sys.executable, str(script), *arguments, stdout=pipe, stderr=pipe)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_a_real_process(tmp_path: Path, number: signal.Signals) -> None:
    process = await child(tmp_path)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"up\n"
    process.send_signal(number)
    out, err = await process.communicate()
    assert out.decode().split() == ["draining", "drained", "closed"]
    assert process.returncode == 0
    assert f'"why": "{number.name}"' in err.decode()


async def test_wrong_settings_end_a_process_with_a_sentence_and_code_2(tmp_path: Path) -> None:
    config = tmp_path / "conveyor.toml"
    config.write_text("[log]\nformat = 'xml'\n")
    process = await child(tmp_path, "--config", str(config))
    _, err = await process.communicate()
    assert process.returncode == 2
    assert err.decode().startswith(f"{config}: log.format: Invalid enum value 'xml'")


async def test_a_process_drains_no_longer_than_the_grace_of_its_settings(tmp_path: Path) -> None:
    config = tmp_path / "conveyor.toml"
    config.write_text("drain_s = 30.0\ngrace_s = 0.2\n")
    process = await child(tmp_path, "--config", str(config))
    assert process.stdout is not None
    assert await process.stdout.readline() == b"up\n"
    process.send_signal(signal.SIGTERM)
    out, err = await process.communicate()
    assert out.decode().split() == ["draining", "closed"]
    assert "grace is over" in err.decode()


async def test_a_process_goes_without_what_does_not_end(tmp_path: Path) -> None:
    process = await child(tmp_path, source=DEAF)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"up\n"
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(20):
        _, err = await process.communicate()
    assert process.returncode == 1
    assert "tasks do not end, going without them" in err.decode()
    assert "closing does not end" in err.decode()


async def test_a_dying_task_stops_the_service_with_code_1() -> None:
    service = Service("sample")
    drained: list[str] = []

    async def other() -> None:
        await service.stopping.wait()
        drained.append("other")

    async def dying() -> None:
        raise ValueError("broken")

    async def main(service: Service) -> None:
        service.spawn("other", other())
        service.spawn("dying", dying())

    assert await service.run(main, handle_signals=False) == 1
    assert drained == ["other"]


async def test_a_task_that_ends_early_is_a_dead_one_unless_it_may_end() -> None:
    async def brief() -> None:
        return

    for may_end, code in ((False, 1), (True, 0)):
        service = Service("sample")

        async def main(service: Service, may_end: bool = may_end) -> None:
            service.spawn("waits", service.stopping.wait())
            service.spawn("brief", brief(), may_end=may_end)
            if may_end:
                asyncio.get_running_loop().call_later(0.05, service.stop, "test")

        assert await service.run(main, handle_signals=False) == code


async def test_what_does_not_drain_within_the_grace_is_cancelled() -> None:
    service = Service("sample", grace_s=0.05)
    ends: list[str] = []

    async def stubborn() -> None:
        try:
            await asyncio.sleep(30)  # waits: work that never ends
        finally:
            ends.append("cancelled")

    async def main(service: Service) -> None:
        service.spawn("stubborn", stubborn())
        asyncio.get_running_loop().call_soon(service.stop, "test")

    async with asyncio.timeout(5):
        assert await service.run(main, handle_signals=False) == 0
    assert ends == ["cancelled"]


async def test_a_failing_start_closes_what_was_opened() -> None:
    service = Service("sample")
    closed: list[str] = []

    async def main(service: Service) -> None:
        service.resources.callback(closed.append, "bus")
        raise OSError("no disk")

    assert await service.run(main, handle_signals=False) == 1
    assert closed == ["bus"]
