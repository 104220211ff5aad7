"""P8: everything around an agent on a repository of 50,000 files, beside bare `git worktree add` and spawning it.

Ours is a whole run as a runner makes it: command taken and claimed, fetch, worktree, sandbox, agent, commit, push,
outcome. The agent writes one file. The mirror is warm on both sides, and who comes first changes with every round.

- `P8`: a new task's first run, on a runner that had the time to check out a worktree ahead.
- `P8.cold`: the same on one that had not, as when new tasks come faster than worktrees are made.
- `P8.again`: a further run in the same worktree.
"""

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

from msgspec import Struct

from conveyor.contracts.outcomes import OutcomeKind
from conveyor.runner.core.agent import Agent
from conveyor.servicekit.clock import SYSTEM_CLOCK
from tests.benchmarks import ground
from tests.benchmarks.figures import Figure, figure, median, note
from tests.conftest import wait_until
from tests.scenarios.runner.rig import REPO, Rig, running, world

GOAL_RATIO = 1.3
AGENT = ("/bin/sh", "-c", "cat > /dev/null; echo done > done.txt")
TIMEOUT_S = 300


class Size(Struct, frozen=True, kw_only=True):
    """How much is done."""

    rounds: int = 5
    folders: int = 500
    files: int = 100
    """In each folder."""


class _Times(Struct):
    """Seconds, one entry a round."""

    bare: list[float] = []
    ahead: list[float] = []
    cold: list[float] = []
    again: list[float] = []


async def measure(size: Size | None = None) -> tuple[Figure, ...]:
    """Return our figures beside the bare one."""
    size = size or Size()
    async with (
        ground.folder() as where,
        ground.server_and_bus(where) as (server, bus),
        world(where, bus, server.url) as rig,
    ):
        await _fill(rig, where, size)
        times = await _rounds(rig, where, size)
    anchor = median("P8.bare", "s", times.bare)
    own = {
        "P8": median("P8", "s", times.ahead),
        "P8.cold": median("P8.cold", "s", times.cold),
        "P8.again": median("P8.again", "s", times.again),
    }
    ratios = ", ".join(f"{name} {value / anchor:.2f}" for name, value in own.items())
    note(f"P8: {ratios} of bare, goal at most {GOAL_RATIO}; {size.folders * size.files} files")
    return tuple(figure(name, value, "s", anchor) for name, value in own.items())


async def _rounds(rig: Rig, where: Path, size: Size) -> _Times:
    times = _Times()
    root = where / "runner-1"
    async with running(rig.settings(Agent(command=AGENT), ack_wait_s=30)):
        await _run(rig, "SHOP-1")
        for number in range(size.rounds):
            bare, ours = where / f"bare-{number}", f"SHOP-{number}"

            async def without(place: Path = bare) -> None:
                times.bare.append(await asyncio.to_thread(_bare, root / "mirrors" / "acme" / "shop.git", place))

            async def with_us(key: str = ours) -> None:
                times.ahead.append(await _run(rig, f"{key}-ahead"))
                times.cold.append(await _run(rig, f"{key}-cold"))
                times.again.append(await _run(rig, f"{key}-cold"))

            for part in (without, with_us) if number % 2 else (with_us, without):
                await ground.until(lambda: _is_ready(root), "a worktree checked out ahead", timeout_s=TIMEOUT_S)
                await part()
    return times


async def _is_ready(root: Path) -> bool:
    """Whether a spare worktree is there and git has looked at it a second time, in a later second."""
    index = root / "mirrors" / "acme" / "shop.git" / "worktrees" / "spare" / "index"
    seen = index.with_name("second")
    return seen.exists() and index.exists() and index.stat().st_mtime_ns >= seen.stat().st_mtime_ns


async def _fill(rig: Rig, where: Path, size: Size) -> None:
    """Put many files into the repository, as a person who pushes them."""
    work = where / "person"
    bare = rig.gitea.repo(REPO).git.path

    def make() -> None:
        for folder in range(size.folders):
            place = work / f"src/part{folder:03}"
            place.mkdir(parents=True)
            for number in range(size.files):
                (place / f"module{number:03}.py").write_text(f'"""Module {number} of {folder}."""\n' * 20)
        for arguments in (
            ("init", "--quiet", "--initial-branch=main"),
            ("config", "maintenance.auto", "false"),  # it would go on in the background
            ("add", "--all"),
            ("-c", "user.name=p", "-c", "user.email=p@example.org", "commit", "--quiet", "-m", "many files"),
            ("push", "--quiet", "--force", str(bare), "main"),
        ):
            subprocess.run(("git", *arguments), cwd=work, check=True)
        shutil.rmtree(work)

    await asyncio.to_thread(make)


async def _run(rig: Rig, key: str) -> float:
    begun = SYSTEM_CLOCK.monotonic()
    command = await rig.order("analyst", key=key, branch=f"feature/{key}")
    outcome = await rig.outcome(command, wait_until, timeout_s=TIMEOUT_S)
    if outcome.kind is not OutcomeKind.SUCCEEDED:
        raise RuntimeError(f"{key}: {outcome.detail}")
    return SYSTEM_CLOCK.monotonic() - begun


def _bare(mirror: Path, worktree: Path) -> float:
    """Return the seconds of a bare worktree and a bare agent."""
    begun = SYSTEM_CLOCK.monotonic()
    environment = {"PATH": os.defpath, "HOME": "/nonexistent"}
    target = ("-B", worktree.name, str(worktree), "refs/remotes/origin/main")
    subprocess.run(("git", f"--git-dir={mirror}", "worktree", "add", "--quiet", *target), check=True, env=environment)
    subprocess.run(AGENT, cwd=worktree, stdin=subprocess.DEVNULL, check=True, env=environment)
    return SYSTEM_CLOCK.monotonic() - begun
