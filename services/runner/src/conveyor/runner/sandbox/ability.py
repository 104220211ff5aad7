"""What this machine lets us do: tried, not guessed, once when the runner starts."""

import os
import shutil
from pathlib import Path

from msgspec import Struct

from conveyor.runner.process import ProcessSpec, Shell, StopSwitch, Timers, execute, probe_id
from conveyor.runner.sandbox.cgroups import Cgroups
from conveyor.runner.sandbox.profile import ROOTS

_PROBE_S = 10.0


class Ability(Struct, frozen=True, kw_only=True):
    """What holds here."""

    bubblewrap: str = ""
    """The program's path; empty when it does not work here."""
    why_not: str = ""
    """Why bubblewrap does not work, and what to do about it."""
    cgroups: Cgroups | None = None
    """Where runs get control groups; None when there is no place for them."""
    is_root: bool = False


class _Deaf:
    async def output(self, data: bytes) -> None:
        """Nobody reads it: the exit says enough, and its tail the rest."""

    def line(self, line: bytes) -> bool:  # noqa: ARG002 - nobody reads it
        return False


async def look(search_path: str) -> Ability:
    """Return what this machine lets us do."""
    program = shutil.which("bwrap", path=search_path) or ""
    why_not = await why_no_walls(program)
    return Ability(
        bubblewrap="" if why_not else program,
        why_not=why_not,
        cgroups=Cgroups.find(),
        is_root=os.geteuid() == 0,
    )


async def why_no_walls(program: str) -> str:
    """Return why bubblewrap, by its path or an empty text, cannot build the sandbox here; empty when it can."""
    if not program:
        return "bubblewrap is not installed: install the package `bubblewrap`"
    tried = (
        program, "--unshare-user", "--uid", "1000", "--gid", "1000", "--unshare-pid", "--unshare-ipc", "--unshare-uts",
        "--unshare-net", "--die-with-parent", "--new-session", "--ro-bind", "/", "/",
        "--dev", "/dev", "--proc", "/proc", *(ROOTS if os.geteuid() == 0 else ()),
    )  # fmt: skip
    ended = await execute(
        ProcessSpec(
            run_id=probe_id("sandbox"),
            argv=("true",),
            cwd=Path("/"),
            env={"PATH": os.defpath},
            stdin=b"",
            timers=Timers(wall_s=_PROBE_S),
            shell=Shell(wrapper=tried),
        ),
        _Deaf(),
        StopSwitch(),
    )
    if ended.code == 0:
        return ""
    said = ended.launch_error or ended.tail.decode(errors="replace").strip() or f"it ended with {ended.code}"
    return (
        f"bubblewrap cannot make namespaces here ({said[:200]}): allow unprivileged user namespaces"
        " (sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns=0), or in a container run it"
        " with a seccomp profile that permits them; a runner that is root needs bubblewrap 0.8"
    )
