"""Runs a program in a room of the sandbox, over a real worktree, and tells what it said."""

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest

from conveyor.runner.process import ProcessExit, ProcessSpec, StopSwitch, Timers, execute
from conveyor.runner.sandbox import Hideout, Sandbox, SandboxSettings, Stay, look
from conveyor.runner.sandbox.ability import why_no_walls
from conveyor.runner.workspace import Workspace
from tests.unit.runner.forge import plain_git

PATH = os.environ["PATH"]  # noqa: TID251 - programs have to be found
NO_WALLS = asyncio.run(why_no_walls(shutil.which("bwrap") or ""))
needs_bubblewrap = pytest.mark.skipif(bool(NO_WALLS), reason=NO_WALLS)
MODES = ("none", pytest.param("bubblewrap", marks=needs_bubblewrap))


class Ear:
    def __init__(self) -> None:
        self.heard = b""

    async def output(self, data: bytes) -> None:
        self.heard += data

    def line(self, line: bytes) -> bool:
        return not line


class Inside:
    """What a program finds in the room of a run."""

    def __init__(self, root: Path, settings: SandboxSettings, hidden: tuple[str, ...] = ()) -> None:
        self.root = root
        self.settings = settings
        self.hidden = hidden
        self.said: list[str] = []
        self.home = root / "homes" / "agent"
        self.run_id = f"inside-{os.getpid()}-{root.parent.name}"
        self.scratch = root / "scratch" / self.run_id
        self.switch = StopSwitch()

    async def run(self, workspace: Workspace, *argv: str, env: dict[str, str] | None = None) -> tuple[ProcessExit, str]:
        """Run it and return its exit and all of its output."""
        for folder in (self.home, self.scratch):
            folder.mkdir(parents=True, exist_ok=True)
        ability = await look(PATH)
        sandbox = Sandbox(self.settings, ability, plain_git(), Hideout(root=self.root, hidden=self.hidden))
        stay = Stay(
            run_id=self.run_id,
            program=argv[0],
            search_path=PATH,
            workspace=workspace,
            home=self.home,
            scratch=self.scratch,
            switch=self.switch,
            say=self.said.append,
        )
        ear = Ear()
        try:
            async with sandbox.room(stay) as room:
                spec = ProcessSpec(
                    run_id=self.run_id,
                    argv=(*room.prefix, *argv),
                    cwd=workspace.path,
                    env={"PATH": PATH, "HOME": str(self.home), "TMPDIR": str(self.scratch), **room.env, **(env or {})},
                    stdin=b"",
                    timers=Timers(wall_s=20),
                    shell=room.shell,
                )
                ended = await execute(spec, ear, self.switch, room.guard)
        finally:
            if ability.cgroups:
                ability.cgroups.close()
        return ended, ear.heard.decode(errors="replace")

    async def python(self, workspace: Workspace, code: str) -> tuple[ProcessExit, str]:
        """Run some Python of the standard library."""
        return await self.run(workspace, sys.executable, "-I", "-S", "-u", "-c", code)

    async def shell(self, workspace: Workspace, script: str) -> str:
        """Run a shell script that must succeed, as somebody with a name, and return what it said."""
        who = {f"GIT_{part}_{what}": "agent@x" for part in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        ended, said = await self.run(workspace, "/bin/sh", "-ec", script, env=who)
        assert ended.code == 0, said + ended.launch_error
        return said
