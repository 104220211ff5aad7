"""The process room against children that behave as badly as real ones do."""

import asyncio
import os
import resource
import sys
import time
from pathlib import Path

import pytest

from conveyor.runner.process import Ladder, ProcessExit, ProcessSpec, Stop, StopSwitch, Timers, execute
from conveyor.runner.process.sweep import members

QUICK = Ladder(gentle_wait_s=0.3, term_wait_s=0.3)


class Listener:
    def __init__(self, result_line: bytes = b"") -> None:
        self.size = 0
        self.lines: list[bytes] = []
        self.result_line = result_line
        self.first_output = asyncio.Event()

    async def output(self, data: bytes) -> None:
        self.size += len(data)
        self.first_output.set()

    def line(self, line: bytes) -> bool:
        if len(self.lines) < 1000:
            self.lines.append(line)
        return bool(self.result_line) and line == self.result_line


def spec(tmp_path: Path, code: str, **changes: object) -> ProcessSpec:
    values: dict[str, object] = {
        "run_id": f"test-{os.getpid()}-{tmp_path.name}",
        "argv": (sys.executable, "-u", "-c", code),
        "cwd": tmp_path,
        "env": {"PATH": os.defpath},
        "stdin": b"",
        "timers": Timers(wall_s=20),
        "ladder": QUICK,
    }
    return ProcessSpec(**{**values, **changes})  # type: ignore[arg-type] # a test's table


async def run(command: ProcessSpec, listener: Listener | None = None, switch: StopSwitch | None = None) -> ProcessExit:
    ended = await execute(command, listener or Listener(), switch or StopSwitch())
    assert members(command.run_id) == [], "a process survived its run"
    return ended


async def test_prompt_is_read_to_its_end_and_output_arrives_as_lines(tmp_path: Path) -> None:
    listener = Listener()
    ended = await run(
        spec(tmp_path, "import sys; print(len(sys.stdin.read())); print('two', end='')", stdin=b"x" * 300_000), listener
    )
    assert (ended.code, ended.stop, ended.launch_error) == (0, None, "")
    assert listener.lines == [b"300000", b"two"]
    assert ended.tail == b"300000\ntwo"


async def test_nothing_is_inherited_but_the_given_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVEYOR_GITEA__TOKEN", "secret")
    listener = Listener()
    command = spec(tmp_path, "import os; print(sorted(k for k in os.environ if k != 'LC_CTYPE'))")
    await run(command, listener)
    assert listener.lines == [b"['CONVEYOR_RUN_ID', 'PATH']"]


@pytest.mark.parametrize("argv", [("/nowhere/agent",), ("",), ("with\0nul",)])
async def test_what_cannot_start_is_one_launch_error(tmp_path: Path, argv: tuple[str, ...]) -> None:
    ended = await run(spec(tmp_path, "", argv=argv))
    assert ended.code is None
    assert "cannot start" in ended.launch_error


async def test_missing_folder_is_a_launch_error(tmp_path: Path) -> None:
    ended = await run(spec(tmp_path, "", cwd=tmp_path / "gone"))
    assert "gone" in ended.launch_error


async def test_exit_code_and_death_by_signal_are_told(tmp_path: Path) -> None:
    assert (await run(spec(tmp_path, "raise SystemExit(7)"))).code == 7
    assert (await run(spec(tmp_path, "import os; os.kill(os.getpid(), 11)"))).code == -11


@pytest.mark.behaviour("RU-5")
async def test_one_that_ignores_every_signal_is_killed_and_recorded_as_timed_out(tmp_path: Path) -> None:
    code = "import signal,time\nfor s in (1,2,15): signal.signal(s, signal.SIG_IGN)\nprint('up'); time.sleep(60)"
    ended = await run(spec(tmp_path, code, timers=Timers(wall_s=0.7)))
    assert (ended.stop, ended.code) == (Stop.WALL_TIME, -9)
    assert ended.duration_s < 4


@pytest.mark.behaviour("RU-5")
async def test_gentle_signal_lets_it_say_its_last_word(tmp_path: Path) -> None:
    last_word = "signal.signal(2, lambda *_: (print('cost 3'), sys.exit(0)))"
    code = f"import signal,sys,time\n{last_word}\nprint('up')\ntime.sleep(60)"
    listener = Listener()
    ended = await run(spec(tmp_path, code, timers=Timers(wall_s=0.7), ladder=Ladder(gentle_wait_s=5)), listener)
    assert (ended.stop, ended.code) == (Stop.WALL_TIME, 0)
    assert listener.lines == [b"up", b"cost 3"]


@pytest.mark.behaviour("RU-5")
async def test_silence_is_stopped(tmp_path: Path) -> None:
    ended = await run(spec(tmp_path, "import time; print('up'); time.sleep(60)", timers=Timers(wall_s=20, idle_s=0.5)))
    assert ended.stop is Stop.IDLE_TIME


@pytest.mark.behaviour("RU-5")
async def test_one_that_has_given_its_result_and_stays_is_ended_soon(tmp_path: Path) -> None:
    command = spec(
        tmp_path, "import time; print('result'); time.sleep(60)", timers=Timers(wall_s=20, after_result_s=0.3)
    )
    ended = await run(command, Listener(b"result"))
    assert ended.stop is Stop.AFTER_RESULT


async def test_work_after_a_result_takes_the_result_back(tmp_path: Path) -> None:
    code = "import time; print('result'); print('more'); time.sleep(0.8); print('result')"
    ended = await run(spec(tmp_path, code, timers=Timers(wall_s=20, after_result_s=0.4)), Listener(b"result"))
    assert (ended.stop, ended.code) == (None, 0)


@pytest.mark.behaviour("RU-11")
@pytest.mark.parametrize("is_deaf", [False, True])
async def test_cancel_ends_it_within_two_seconds(tmp_path: Path, is_deaf: bool) -> None:
    deaf = "import signal\nfor s in (2,15): signal.signal(s, signal.SIG_IGN)\n" if is_deaf else ""
    listener, switch = Listener(), StopSwitch()
    command = spec(tmp_path, deaf + "import time; print('up'); time.sleep(60)", ladder=Ladder())
    running = asyncio.create_task(run(command, listener, switch))
    async with asyncio.timeout(10):
        await listener.first_output.wait()
    began = time.monotonic()
    switch.stop(Stop.CANCELLED)
    assert (await running).stop is Stop.CANCELLED
    assert time.monotonic() - began < 2


async def test_cancel_does_not_wait_for_a_slow_time_out(tmp_path: Path) -> None:
    """A cancel that comes while the wall-time ladder is being descended shortens it."""
    code = "import signal,time\nfor s in (2,15): signal.signal(s, signal.SIG_IGN)\nprint('up'); time.sleep(60)"
    listener, switch = Listener(), StopSwitch()
    command = spec(tmp_path, code, timers=Timers(wall_s=0.5), ladder=Ladder(gentle_wait_s=30, term_wait_s=30))
    running = asyncio.create_task(run(command, listener, switch))
    async with asyncio.timeout(10):
        await listener.first_output.wait()
    switch.stop(Stop.CANCELLED)
    async with asyncio.timeout(4):
        await running


@pytest.mark.behaviour("RU-11")
@pytest.mark.parametrize("first", [Stop.BUDGET, Stop.LIMIT, Stop.HOPELESS])
async def test_a_cancel_hurries_a_stop_that_was_asked_for_before(tmp_path: Path, first: Stop) -> None:
    """The budget is spent, the agent takes its time to leave, and nobody wants its work any more."""
    code = "import signal,time\nfor s in (2,15): signal.signal(s, signal.SIG_IGN)\nprint('up'); time.sleep(60)"
    listener, switch = Listener(), StopSwitch()
    running = asyncio.create_task(
        run(spec(tmp_path, code, ladder=Ladder(gentle_wait_s=30, term_wait_s=30)), listener, switch)
    )
    async with asyncio.timeout(10):
        await listener.first_output.wait()
    switch.stop(first, "its own why")
    await asyncio.sleep(0.2)  # waits: for the first step of the ladder
    began = time.monotonic()
    switch.stop(Stop.CANCELLED)
    await running
    assert time.monotonic() - began < 2
    assert switch.reason is Stop.CANCELLED


async def test_a_shutdown_hurries_a_stop_but_its_reason_stays() -> None:
    switch = StopSwitch()
    switch.stop(Stop.BUDGET, "spent")
    switch.stop(Stop.SHUTDOWN)
    assert (switch.reason, switch.why) == (Stop.BUDGET, "spent")
    assert switch.hurried.is_set()
    assert not switch.called_off.is_set()


async def test_stop_asked_before_the_start_still_stops(tmp_path: Path) -> None:
    switch = StopSwitch()
    switch.stop(Stop.CANCELLED)
    assert (await run(spec(tmp_path, "import time; time.sleep(60)"), switch=switch)).stop is Stop.CANCELLED


_STRAY = """
import os, subprocess, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print('stray'); time.sleep(60)
    os._exit(0)
time.sleep(0.3)
"""


@pytest.mark.behaviour("RU-5")
async def test_double_fork_into_its_own_session_does_not_survive(tmp_path: Path) -> None:
    """The stray also holds the pipes open: the end must not wait for it."""
    began = time.monotonic()
    ended = await run(spec(tmp_path, _STRAY))
    assert (ended.code, ended.survivors) == (0, 1)
    assert time.monotonic() - began < 5


@pytest.mark.behaviour("RU-5")
async def test_strays_of_a_stopped_run_do_not_survive(tmp_path: Path) -> None:
    ended = await run(spec(tmp_path, _STRAY + "time.sleep(60)", timers=Timers(wall_s=0.8)))
    assert ended.stop is Stop.WALL_TIME
    assert ended.survivors >= 1


async def test_one_that_closes_its_pipes_and_stays_is_still_watched(tmp_path: Path) -> None:
    code = "import os,time\nfor d in (0,1,2): os.close(d)\ntime.sleep(60)"
    ended = await run(spec(tmp_path, code, timers=Timers(wall_s=20, idle_s=0.8)))
    assert ended.stop is Stop.IDLE_TIME


@pytest.mark.behaviour("RU-4")
async def test_a_line_of_fifty_megabytes_costs_no_memory(tmp_path: Path) -> None:
    code = "import sys\nfor _ in range(50): sys.stdout.write('x' * 2**20)\nprint(); print('after')"
    listener = Listener()
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ended = await run(spec(tmp_path, code, line_cap_bytes=2**20), listener)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    assert listener.size == 50 * 2**20 + len("\nafter\n")
    assert (listener.lines, ended.overlong_lines) == ([b"after"], 1)
    assert len(ended.tail) == 16 * 1024
    assert grown_kib < 12 * 1024


async def test_cancelling_the_watcher_leaves_nothing_behind(tmp_path: Path) -> None:
    listener = Listener()
    command = spec(tmp_path, _STRAY + "time.sleep(60)")
    running = asyncio.create_task(execute(command, listener, StopSwitch()))
    async with asyncio.timeout(10):
        await listener.first_output.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert members(command.run_id) == []


async def test_one_that_cannot_be_watched_any_more_is_stopped(tmp_path: Path) -> None:
    async def guard(_members: object) -> None:
        raise OSError("the disk is gone")

    switch = StopSwitch()
    ended = await execute(spec(tmp_path, "import time; time.sleep(60)"), Listener(), switch, guard)
    assert ended.stop is Stop.LIMIT
    assert switch.why == "its limits cannot be watched: the disk is gone"


async def test_one_that_exits_at_once_loses_no_output(tmp_path: Path) -> None:
    for _ in range(20):
        listener = Listener()
        await run(spec(tmp_path, "", argv=("/bin/sh", "-c", "echo out; echo err >&2; exit 3")), listener)
        assert listener.size == len("out\nerr\n")
