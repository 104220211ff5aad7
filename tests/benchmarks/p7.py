"""P7: 50 MB of an agent's output, from its pipe through line splitter, parser and masker into the LOGS stream.

Once as the lines a coding agent prints, once as one line of 50 MB. The runner's part is a process of its own, so that
its memory is its own: the most it had, less what it had before.
"""

from pathlib import Path

import msgspec
from msgspec import Struct

from tests.benchmarks import ground
from tests.benchmarks.figures import Figure, figure, median, note
from tests.benchmarks.listener import Heard

GOAL_MB_PER_S = 20.0
GOAL_GROWTH_MB = 64.0
MB = 1_000_000


class Size(Struct, frozen=True, kw_only=True):
    """How much is done."""

    rounds: int = 5
    megabytes: int = 50


async def measure(size: Size | None = None) -> tuple[Figure, ...]:
    """Return throughput and growth for both shapes of output."""
    size = size or Size()
    figures: list[Figure] = []
    async with ground.folder() as where, ground.server_and_bus(where) as (server, _):
        for name, write in (("P7", _lines), ("P7.line", _one_line)):
            output = where / f"{name}.out"
            write(output, size.megabytes * MB)
            heard = [
                await _round(server.url, output, where / f"{name.replace('.', '-')}-{number}")
                for number in range(size.rounds)
            ]
            speed = median(name, "MB/s", [one.size_bytes / MB / one.seconds for one in heard])
            growth = median(f"{name}.growth", "MB", [one.growth_bytes / MB for one in heard])
            figures.append(figure(name, speed, "MB/s", GOAL_MB_PER_S))
            figures.append(figure(f"{name}.growth", growth, "MB", GOAL_GROWTH_MB))
    note("P7: from the start of the agent (cat) until the stream has stored its last chunk; no sandbox")
    return tuple(figures)


async def _round(url: str, output: Path, at: Path) -> Heard:
    said = at.with_suffix(".json")
    async with ground.process(
        "tests.benchmarks.listener", url, str(output), at.name, log=at.with_suffix(".log"), stdout=said
    ):

        async def has_spoken() -> bytes:
            return _content(said)

        heard = msgspec.json.decode(await ground.until(has_spoken, f"{said}"), type=Heard)
    if heard.size_bytes < MB or heard.stored_bytes < heard.size_bytes:
        raise RuntimeError(f"{heard}: some of it is missing")
    return heard


def _content(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""


def _lines(path: Path, size_bytes: int) -> None:
    """Write what a coding agent prints: results of tools of some kilobytes, now and then a large one."""
    usage = {"input_tokens": 1000, "output_tokens": 1}
    with path.open("wb") as file:
        for number in range(10**9):
            text = f"line {number} of a file, as long as such lines are\n" * (4000 if number % 200 == 0 else 40)
            content = [{"type": "tool_result", "tool_use_id": f"t{number}", "content": text}]
            message = {"id": f"m{number}", "role": "user", "content": content, "usage": usage}
            file.write(msgspec.json.encode({"type": "user", "message": message, "session_id": "s"}) + b"\n")
            if file.tell() >= size_bytes:
                return


def _one_line(path: Path, size_bytes: int) -> None:
    with path.open("wb") as file:
        for _ in range(size_bytes // MB):
            file.write(b"x" * MB)
        file.write(b"\n")
