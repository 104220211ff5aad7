"""The keeper: nothing of a run is left, whoever tries what, and whoever dies."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from conveyor.runner.process import Limits, ProcessExit, ProcessSpec, Shell, Stop, StopSwitch, Timers, execute
from conveyor.runner.process.keeper import descendants
from conveyor.runner.process.sweep import members

Eventually = Callable[..., Awaitable[Any]]


class Silence:
    async def output(self, data: bytes) -> None: ...

    def line(self, line: bytes) -> bool:
        return not line


def spec(tmp_path: Path, code: str, **changes: object) -> ProcessSpec:
    values: dict[str, object] = {
        "run_id": f"kept-{os.getpid()}-{tmp_path.name}",
        "argv": (sys.executable, "-u", "-c", code),
        "cwd": tmp_path,
        "env": {"PATH": os.defpath},
        "stdin": b"",
        "timers": Timers(wall_s=20),
    }
    return ProcessSpec(**{**values, **changes})  # type: ignore[arg-type] # a test's table


async def run(command: ProcessSpec) -> ProcessExit:
    before = set(descendants(os.getpid()))
    ended = await execute(command, Silence(), StopSwitch())
    assert set(descendants(os.getpid())) <= before, "a process survived its run"
    return ended


_NAMELESS = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        code = 'import os, time; open("pid", "w").write(str(os.getpid())); time.sleep(60)'
        os.execve(sys.executable, [sys.executable, '-I', '-S', '-c', code], {})
    os._exit(0)
while not (os.path.exists('pid') and open('pid').read()):
    time.sleep(0.01)
"""
"""Leaves a process that has no environment, no parent and a session of its own."""


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.behaviour("RU-5")
async def test_a_child_without_environment_parent_or_session_does_not_survive(tmp_path: Path) -> None:
    ended = await run(spec(tmp_path, _NAMELESS))
    assert (ended.code, ended.survivors) == (0, 1)
    assert not is_alive(int((tmp_path / "pid").read_text()))


@pytest.mark.behaviour("RU-5")
async def test_a_runner_killed_takes_all_of_its_run_with_it(tmp_path: Path, eventually: Eventually) -> None:
    """SIGKILL leaves the runner no word to say: the kernel tells the keeper."""
    runner = f"""
import asyncio
from pathlib import Path
from conveyor.runner.process import *
class Silence:
    async def output(self, data): ...
    def line(self, line): return False
code = {_NAMELESS + "time.sleep(60)"!r}
asyncio.run(execute(ProcessSpec(run_id="killed-{tmp_path.name}", argv=({sys.executable!r}, "-c", code),
    cwd=Path({str(tmp_path)!r}), env={{}}, stdin=b"", timers=Timers(wall_s=30)), Silence(), StopSwitch()))
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", runner)
    noted = tmp_path / "pid"
    await eventually(lambda: noted.exists() and noted.read_text(), timeout_s=20)
    nameless = int(noted.read_text())
    assert is_alive(nameless)
    process.kill()
    await process.wait()
    await eventually(lambda: not is_alive(nameless) and not members(f"killed-{tmp_path.name}"))


@pytest.mark.behaviour("RU-5")
@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
async def test_an_agent_that_turns_on_its_keeper_dies_all_the_same(tmp_path: Path, number: int) -> None:
    code = f"import os,time\nos.kill(os.getppid(), {int(number)})\ntime.sleep(60)"
    ended = await run(spec(tmp_path, code, timers=Timers(wall_s=0.5)))
    assert ended.code in {-signal.SIGKILL, -signal.SIGINT}


async def test_a_fork_bomb_is_killed_faster_than_it_forks(tmp_path: Path, eventually: Eventually) -> None:
    """Every process forks again as soon as it can; it ends itself at 300, so that a failure here harms nobody."""
    code = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGINT, signal.SIG_IGN)
end = time.monotonic() + 15
while time.monotonic() < end:
    if len([n for n in os.listdir('/proc') if n.isdigit()]) < 400:
        os.fork()
    time.sleep(0.005)
"""
    began, before = time.monotonic(), set(descendants(os.getpid()))
    switch = StopSwitch()
    running = asyncio.create_task(execute(spec(tmp_path, code), Silence(), switch))
    await eventually(lambda: len(descendants(os.getpid())) > len(before) + 100)
    switch.stop(Stop.CANCELLED)
    assert (await running).stop is Stop.CANCELLED
    assert set(descendants(os.getpid())) <= before
    assert time.monotonic() - began < 8


async def test_another_installations_run_of_the_same_id_is_left_alone(tmp_path: Path, eventually: Eventually) -> None:
    """Runs count from 1 everywhere; only the place of its scratch folder tells whose a process is."""
    theirs, ours = str(tmp_path / "theirs" / "r1"), str(tmp_path / "ours" / "r1")
    switch = StopSwitch()
    other = spec(tmp_path, "import time; time.sleep(30)", env={"PATH": os.defpath, "TMPDIR": theirs})
    running = asyncio.create_task(execute(other, Silence(), switch))
    await eventually(lambda: len(members(other.run_id)) == 2)
    await execute(spec(tmp_path, "", env={"PATH": os.defpath, "TMPDIR": ours}), Silence(), StopSwitch())
    assert len(members(other.run_id, theirs)) == 2
    assert members(other.run_id, ours) == []
    switch.stop(Stop.CANCELLED)
    assert (await running).stop is Stop.CANCELLED


async def test_each_process_is_held_to_its_limits(tmp_path: Path) -> None:
    shell = Shell(limits=Limits(data_bytes=200 << 20, file_bytes=1 << 20, cpu_s=1))
    memory = "try:\n  bytearray(400 << 20)\nexcept MemoryError:\n  raise SystemExit(3)"
    assert (await run(spec(tmp_path, memory, shell=shell))).code == 3
    large = ("/bin/sh", "-c", "exec head -c 2000000 /dev/zero > file")
    assert (await run(spec(tmp_path, "", argv=large, shell=shell))).code == -signal.SIGXFSZ
    assert (await run(spec(tmp_path, "while True: pass", shell=shell))).code in {-signal.SIGXCPU, -signal.SIGKILL}


async def test_no_descriptor_of_ours_reaches_the_agent(tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as ours:
        os.set_inheritable(ours.fileno(), True)  # noqa: FBT003 - its only parameter
        # Three of its own, and the one it lists them with.
        code = "import os; raise SystemExit(len(os.listdir('/proc/self/fd')))"
        assert (await run(spec(tmp_path, code))).code == 4
