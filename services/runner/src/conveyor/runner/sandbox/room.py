"""The place of one run: made before its agent starts, with walls where the machine can build them, gone afterwards."""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from msgspec import Struct

from conveyor.contracts.errors import SettingsError
from conveyor.runner.process import Limits, Shell, StopSwitch
from conveyor.runner.sandbox import bridge, cgroups, opened, profile, proxy, reach
from conveyor.runner.sandbox.ability import Ability
from conveyor.runner.sandbox.cgroups import GroupLimits
from conveyor.runner.sandbox.own_git import OwnGit, take_home
from conveyor.runner.sandbox.report import report
from conveyor.runner.sandbox.settings import SandboxSettings
from conveyor.runner.sandbox.watch import Allowance, watch
from conveyor.runner.workspace import Git, Workspace
from conveyor.runner.workspace.nested import unnest
from conveyor.runner.workspace.places import safe_name
from conveyor.servicekit import logs

_MIB = 1024 * 1024
_log = logs.get("runner.sandbox")


class Stay(Struct, frozen=True, kw_only=True):
    """Who comes to stay."""

    run_id: str
    program: str
    """The agent's program, which must be readable."""
    search_path: str
    workspace: Workspace
    home: Path
    scratch: Path
    switch: StopSwitch
    say: Callable[[str], None]
    """Tells the run's log."""


class Room(Struct, frozen=True, kw_only=True):
    """What is around one run."""

    shell: Shell
    prefix: tuple[str, ...]
    """Put before the agent's command."""
    env: dict[str, str]
    """Put into the agent's environment."""
    guard: Callable[[Callable[[], list[int]]], Awaitable[None]]


class Hideout(Struct, frozen=True, kw_only=True):
    """What is ours and nobody else's."""

    root: Path
    """The runner's root: of it an agent sees its own folders alone."""
    hidden: tuple[str, ...] = ()
    """Files that no agent may read, wherever they lie: our configuration."""


class Sandbox:
    """Makes rooms, as the settings say and the machine allows."""

    def __init__(self, settings: SandboxSettings, ability: Ability, git: Git, hideout: Hideout) -> None:
        """SettingsError when the settings ask for walls that this machine does not build."""
        self._settings = settings
        self._ability = ability
        self._git = git
        self._root = hideout.root.resolve()
        self._hidden = hideout.hidden
        self._has_walls = settings.mode != "none" and bool(ability.bubblewrap)
        if settings.mode == "bubblewrap" and not self._has_walls:
            raise SettingsError(f"runner.sandbox.mode is 'bubblewrap', but {ability.why_not}")
        if settings.network != "open" and not self._has_walls:
            raise SettingsError(f"runner.sandbox.network is {settings.network!r}, but {ability.why_not}")

    def announce(self) -> None:
        """Log what holds here and what does not."""
        if self._settings.mode == "auto" and not self._has_walls:
            _log.warning("agents run without walls", reason=self._ability.why_not)
        for holding in report(self._settings, self._ability):
            _log.log(20 if holding.holds else 30, "sandbox", what=holding.what, holds=holding.holds, why=holding.why)

    @asynccontextmanager
    async def room(self, stay: Stay) -> AsyncIterator[Room]:
        """Make the place of a run; what it leaves is brought home, and the place removed, when the block ends.

        GitError or OSError when it cannot be made.
        """
        async with AsyncExitStack() as stack:
            exchange = await opened.take_from_target(self._git, stay.workspace, self._settings.from_target)
            group = self._group(stay, stack)
            folder = self._folder(stay, stack)
            own = OwnGit(self._git, stay.workspace, folder) if self._has_walls else None
            made = await self._walls(stay, folder, await own.make(exchange.added), stack) if own else None
            stack.push_async_callback(self._leave, stay, exchange, own)
            yield Room(
                shell=Shell(wrapper=profile.arguments(made) if made else (), limits=self._limits(group), cgroup=group),
                prefix=made.bridge if made else (),
                env=profile.proxy_variables(made) if made else {},
                guard=partial(watch, self._allowance(stay, folder, group), stay.switch),
            )

    async def _leave(self, stay: Stay, exchange: opened.Exchange, own: OwnGit | None) -> None:
        """Make the worktree the runner's again; in this order, and no further than a step that fails."""
        await asyncio.to_thread(unnest, stay.workspace.path)
        if own and (why := await take_home(own)):
            stay.say(why)
        await opened.give_back(self._git, stay.workspace, exchange)

    def _folder(self, stay: Stay, stack: AsyncExitStack) -> Path:
        folder = self._root / "rooms" / safe_name(stay.run_id)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        stack.push_async_callback(asyncio.to_thread, shutil.rmtree, folder, ignore_errors=True)
        return folder

    def _group(self, stay: Stay, stack: AsyncExitStack) -> str:
        """Return the run's control group; empty when there is none."""
        if self._ability.cgroups is None:
            return ""
        limits = GroupLimits(
            memory_mb=self._settings.memory_mb, processes=self._settings.processes, cpus=self._settings.cpus
        )
        try:
            group = self._ability.cgroups.make(stay.run_id, limits)
        except OSError as error:
            _log.warning("a run has no control group", run_id=stay.run_id, reason=str(error))
            return ""
        stack.push_async_callback(asyncio.to_thread, cgroups.remove, group)
        return group

    def _limits(self, group: str) -> Limits:
        by_group = bool(group) and "memory" in self._controllers()
        return Limits(
            data_bytes=0 if by_group else self._settings.memory_mb * _MIB,
            file_bytes=self._settings.disk_mb * _MIB,
            cpu_s=self._settings.cpu_seconds,
        )

    def _allowance(self, stay: Stay, folder: Path, group: str) -> Allowance:
        by_group = self._controllers() if group else frozenset[str]()
        return Allowance(
            processes=0 if "pids" in by_group else self._settings.processes,
            memory_mb=0 if "memory" in by_group else self._settings.memory_mb,
            disk_mb=self._settings.disk_mb,
            folders=(stay.workspace.path, stay.scratch, folder),
            cgroup=group if "memory" in by_group else "",
        )

    def _controllers(self) -> frozenset[str]:
        return self._ability.cgroups.controllers if self._ability.cgroups else frozenset()

    async def _walls(self, stay: Stay, folder: Path, git: profile.PrivateGit, stack: AsyncExitStack) -> profile.Profile:
        users = _users(folder, stay.home)
        hosts = self._settings.network == "hosts"
        return profile.Profile(
            program=self._ability.bubblewrap,
            worktree=str(stay.workspace.path),
            home=str(stay.home.resolve()),
            scratch=str(stay.scratch),
            shm=str(_made(folder / "shm")),
            root=str(self._root),
            passwd=str(users[0]),
            group=str(users[1]),
            git=git,
            links=reach.system_links(),
            readable=self._readable(stay),
            writable=self._settings.writable,
            hidden=self._hidden,
            network=self._settings.network,
            is_root=self._ability.is_root,
            proxy=await self._proxy(stay, stack) if hosts else "",
            bridge=_bridge() if hosts else (),
        )

    def _readable(self, stay: Stay) -> tuple[str, ...]:
        bridge_needs = (*reach.of_python(), str(Path(bridge.__file__).resolve()))
        return (
            *reach.system_folders(),
            *reach.of_program(stay.program, stay.search_path),
            *(bridge_needs if self._settings.network == "hosts" else ()),
            *self._settings.readable,
        )

    async def _proxy(self, stay: Stay, stack: AsyncExitStack) -> str:
        # Not below the root: the path of a socket has 108 bytes at most.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="conveyor-")))
        await stack.enter_async_context(proxy.serving(folder / "proxy", self._settings.hosts, stay.say))
        return str(folder / "proxy")


def _bridge() -> tuple[str, ...]:
    return (
        sys.executable,
        "-I",
        "-S",
        str(Path(bridge.__file__).resolve()),
        profile.PROXY_SOCKET,
        str(profile.PROXY_PORT),
    )


def _users(folder: Path, home: Path) -> tuple[Path, Path]:
    """Write who lives inside: the agent alone, and nobody for what belongs to others."""
    passwd, group = folder / "passwd", folder / "group"
    nobody = "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin"
    passwd.write_text(f"{profile.USER}:x:1000:1000::{home.resolve()}:/bin/sh\n{nobody}\n")
    group.write_text(f"{profile.USER}:x:1000:\nnogroup:x:65534:\n")
    return passwd, group


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder
