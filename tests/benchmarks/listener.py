"""The runner's ear as a process: runs `cat` on a file as if it were an agent, ships its output, says what it took."""

import os
import sys
from pathlib import Path

import msgspec
import uvloop
from msgspec import Struct

from conveyor.adapters.agents import parser_for
from conveyor.runner.app import LogStream
from conveyor.runner.logs import LogShipper
from conveyor.runner.ports import AgentParser
from conveyor.runner.process import ProcessSpec, StopSwitch, Timers, execute
from conveyor.servicekit.bus import connect
from conveyor.servicekit.clock import SYSTEM_CLOCK
from conveyor.servicekit.sections import NatsSettings

SECRETS = ("a-secret-of-the-forge-0123456789", "another-one-of-the-tracker")


class Heard(Struct, frozen=True, kw_only=True):
    """What a run of the ear showed."""

    size_bytes: int
    stored_bytes: int
    seconds: float
    growth_bytes: int


class Watcher:
    """Does with output what the runner does."""

    def __init__(self, parser: AgentParser, shipper: LogShipper) -> None:
        self._parser = parser
        self._shipper = shipper

    async def output(self, data: bytes) -> None:
        await self._shipper.write(data)

    def line(self, line: bytes) -> bool:
        self._parser.feed(line)
        return self._parser.has_result


class Counted:
    """The LOGS stream, and how much it stored."""

    def __init__(self, stream: LogStream) -> None:
        self._stream = stream
        self.stored_bytes = 0

    async def append(self, subject: str, chunk: bytes) -> None:
        await self._stream.append(subject, chunk)
        self.stored_bytes += len(chunk)


async def listen(url: str, output: str, name: str) -> Heard:
    """Run `cat` on the file and return what it took."""
    bus = await connect(NatsSettings(url=url), name="listener")
    sink = Counted(LogStream(bus))
    await _once(sink, "/dev/null", f"{name}-warm")
    sink.stored_bytes, before = 0, _memory_bytes("VmRSS")
    began = SYSTEM_CLOCK.monotonic()
    size_bytes = await _once(sink, output, name)
    seconds = SYSTEM_CLOCK.monotonic() - began
    grown = _memory_bytes("VmHWM") - before
    await bus.close()
    return Heard(size_bytes=size_bytes, stored_bytes=sink.stored_bytes, seconds=seconds, growth_bytes=max(grown, 0))


async def _once(sink: Counted, output: str, name: str) -> int:
    async with LogShipper(sink, f"log.bench.P-7.{name}", SECRETS, SYSTEM_CLOCK) as shipper:
        spec = ProcessSpec(
            run_id=f"p7-{name}-{os.getpid()}",
            argv=("cat", output),
            cwd=Path("/"),
            env={"PATH": os.defpath},
            stdin=b"",
            timers=Timers(wall_s=300),
        )
        ended = await execute(spec, Watcher(parser_for("claude-stream-json"), shipper), StopSwitch())
    return ended.output_bytes


def _memory_bytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) * 1024


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(listen(*sys.argv[1:]))))
