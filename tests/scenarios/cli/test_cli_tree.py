"""The process tree by itself, with small programs for services: who keeps dying ends all, the bus comes back."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from conveyor.cli.exits import Exit
from conveyor.cli.up import tree as trees
from conveyor.cli.up.plan import Member, Plan
from conveyor.cli.up.ports import Ports
from conveyor.cli.up.tree import running
from conveyor.servicekit.sections import NatsSettings

pytestmark = pytest.mark.behaviour("OP-3")
Eventually = Callable[..., Awaitable[Any]]
SLEEPER = "import signal; print('up', flush=True); signal.pause()"


def member(name: str, program: str) -> Member:
    return Member(name=name, command=(sys.executable, "-c", program), environment={}, url="")


def planned(folder: Path, ports: Ports, *members: Member, embedded: bool = False) -> Plan:
    port = ports.free("127.0.0.1")
    return Plan(nats=NatsSettings(embedded=embedded), nats_port=port, nats_dir=folder / "nats", members=members)


async def test_a_crash_loop_stops_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "FIRST_DELAY_S", 0.01)
    told: list[str] = []
    with Ports() as ports:
        plan = planned(tmp_path, ports, member("good", SLEEPER), member("bad", "raise SystemExit(3)"))
        async with running(plan, lambda _name, _line: None, told.append) as tree:
            async with asyncio.timeout(20):
                ended = await tree.ended
            good = tree.pids["good"]
    assert ended.code is Exit.FAILED
    assert "bad ended with exit code 3: 5 times within 60 s" in ended.reason
    assert len(told) == 4
    assert not is_running(good)


async def greets(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return line.startswith(b"INFO")


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_a_killed_nats_server_comes_back_on_its_port(tmp_path: Path, eventually: Eventually) -> None:
    told: list[str] = []
    with Ports() as ports:
        plan = planned(tmp_path, ports, member("good", SLEEPER), embedded=True)
        async with running(plan, lambda _name, _line: None, told.append) as tree:
            first = tree.pids["nats"]
            os.kill(first, signal.SIGKILL)
            await eventually(lambda: tree.pids.get("nats", first) != first)
            await eventually(lambda: greets(plan.nats_port))
    assert told[0].startswith("nats died")


async def test_a_terminal_that_is_gone_stops_no_service(tmp_path: Path, eventually: Eventually) -> None:
    """Whoever pipes the output into `head` closes it; a service that nobody reads would soon wait to be read."""
    program = (
        f"import sys; print('x\\n' * 1_000_000); open({str(tmp_path / 'on')!r}, 'w'); import signal; signal.pause()"
    )

    def gone(_name: str, _line: bytes) -> None:
        raise BrokenPipeError

    with Ports() as ports:
        async with running(planned(tmp_path, ports, member("talker", program)), gone, lambda _text: None):
            await eventually((tmp_path / "on").exists)


async def test_lines_are_told_apart_however_they_arrive(tmp_path: Path, eventually: Eventually) -> None:
    lines: list[tuple[str, bytes]] = []
    program = (
        "import signal, sys, time\n"
        "sys.stdout.write('one\\ntw'); sys.stdout.flush()\n"
        "sys.stderr.write('o\\n' + 'x' * 3_000_000 + '\\nend'); sys.stderr.flush()\n"
        "sys.stdout.write('\\n'); sys.stdout.flush()\n"
        "signal.pause()\n"
    )
    with Ports() as ports:
        plan = planned(tmp_path, ports, member("talker", program))
        async with running(plan, lambda name, line: lines.append((name, line)), lambda _text: None):
            await eventually(lambda: ("talker", b"end") in lines)
    assert lines[:2] == [("talker", b"one"), ("talker", b"two")]
    assert sum(line.count(b"x") for _, line in lines) == 3_000_000
