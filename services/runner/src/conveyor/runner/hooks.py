"""Commands of the operator's or the repository's that run around an agent, in its worktree, with a timeout (RU-15)."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct

from conveyor.runner.process import Guard, ProcessSpec, Shell, StopSwitch, Timers, execute
from conveyor.servicekit.sections import Section

Name = Literal["after_create", "before_run", "after_run", "before_remove"]
_TAIL_CHARS = 300


class HookSettings(Section, frozen=True, kw_only=True):
    """`[runner.hooks]`: each a program and its arguments, run in the worktree; empty: none."""

    after_create: tuple[str, ...] = ()
    """After a worktree was made; if it fails, so does the run, and the worktree is made anew for the next."""
    before_run: tuple[str, ...] = ()
    """Before each agent; if it fails, so does the run."""
    after_run: tuple[str, ...] = ()
    """After each agent, before what it left is committed; a failure is only told in the log."""
    before_remove: tuple[str, ...] = ()
    """Before a worktree is removed, outside any sandbox; a failure is only told in the log."""
    timeout_s: float = 60.0
    """How long each may take."""
    from_repository: bool = True
    """Whether executable files in `.conveyor/hooks/` of the target branch serve where nothing is set here."""


class Scene(Struct, frozen=True, kw_only=True):
    """Where a hook runs: in the agent's place, with the agent's environment."""

    run_id: str
    worktree: Path
    scratch: Path
    env: Mapping[str, str]
    prefix: tuple[str, ...] = ()
    shell: Shell = Shell()
    guard: Guard | None = None
    switch: StopSwitch
    take: Callable[[bytes], Awaitable[None]]
    """Takes what it prints."""
    read_target: Callable[[str], Awaitable[str | None]] | None = None
    """Reads a file of the target branch; None where no hook of the repository's may run."""


class _Listener:
    """Hands a hook's output on."""

    def __init__(self, take: Callable[[bytes], Awaitable[None]]) -> None:
        self._take = take

    async def output(self, data: bytes) -> None:
        await self._take(data)

    def line(self, line: bytes) -> bool:  # noqa: ARG002 - a hook has no result but its exit code
        return False


class Hooks:
    """Runs hooks by name."""

    def __init__(self, settings: HookSettings) -> None:
        self._settings = settings

    async def run(self, name: Name, scene: Scene) -> str:
        """Run one hook and return what went wrong; empty when all is well, or when there is no such hook."""
        argv = await self._command(name, scene)
        if not argv:
            return ""
        left = await execute(
            ProcessSpec(
                run_id=scene.run_id,
                argv=(*scene.prefix, *argv),
                cwd=scene.worktree,
                env={**scene.env, "CONVEYOR_HOOK": name},
                shell=scene.shell,
                stdin=b"",
                timers=Timers(wall_s=self._settings.timeout_s, idle_s=0),
            ),
            _Listener(scene.take),
            scene.switch,
            scene.guard,
        )
        if left.code == 0 and left.stop is None:
            return ""
        how = left.launch_error or (f"was stopped: {left.stop}" if left.stop else f"ended with {left.code}")
        said = left.tail.decode(errors="replace").strip()[-_TAIL_CHARS:]
        return f"hook {name} {how}" + (f": {said}" if said else "")

    async def _command(self, name: Name, scene: Scene) -> tuple[str, ...]:
        own: tuple[str, ...] = getattr(self._settings, name)
        if own or not self._settings.from_repository or scene.read_target is None:
            return own
        text = await scene.read_target(f".conveyor/hooks/{name}")
        if text is None:
            return ()
        script = scene.scratch / f"hook-{name}"
        script.write_text(text + "\n")  # not from the worktree, where an agent could have changed it
        script.chmod(0o700)
        return (str(script),) if text.startswith("#!") else ("/bin/sh", str(script))
