"""`[runner.sandbox]`: what an agent may reach and how much it may take."""

from typing import Literal

from conveyor.contracts.errors import SettingsError
from conveyor.servicekit.sections import Section

OPENED = (
    ".claude",
    ".mcp.json",
    ".codex",
    ".gemini",
    ".opencode",
    "opencode.json",
    "opencode.jsonc",
    ".aider.conf.yml",
)
"""What agents read, and partly run, when they open a repository (facts of five command lines)."""


class SandboxSettings(Section, frozen=True, kw_only=True):
    """`[runner.sandbox]`."""

    mode: Literal["auto", "bubblewrap", "none"] = "auto"
    """`auto`: bubblewrap where it works, with a warning where it does not. `bubblewrap`: the runner refuses to start
    without it. `none`: agents run as the runner's user and see what it sees."""
    network: Literal["open", "hosts", "none"] = "open"
    """`open`: the runner's own network. `hosts`: only `hosts`, by HTTPS through a proxy. `none`: a loopback of its
    own. Both of the latter need bubblewrap."""
    hosts: tuple[str, ...] = ()
    """For `hosts`: names such as `api.anthropic.com`, `*.npmjs.org` (any name below), `git.example:8443`; port 443
    unless one is named."""
    readable: tuple[str, ...] = ()
    """Folders and files that an agent may read beside the system's and its own program's."""
    writable: tuple[str, ...] = ()
    """Folders and files that it may change beside worktree, scratch and HOME, such as a cache of packages."""
    memory_mb: int = 8192
    """Memory of all processes of a run together; 0: no limit."""
    processes: int = 1000
    """How many processes a run may have at once (with a control group: threads count too); 0: no limit."""
    disk_mb: int = 20480
    """How large worktree and scratch of a run may get together, and any single file; 0: no limit."""
    cpu_seconds: int = 0
    """Processor time of any single process; 0: no limit."""
    cpus: float = 0.0
    """Processors a run may use, where there is a control group with that controller; 0: no limit."""
    from_target: tuple[str, ...] = OPENED
    """Names in the repository, in any folder, that a run sees as they are on the target branch (RU-12)."""


def check(settings: SandboxSettings) -> None:
    """Refuse what cannot work: SettingsError names the key and what was expected."""
    for name in ("memory_mb", "processes", "disk_mb", "cpu_seconds", "cpus"):
        if getattr(settings, name) < 0:
            raise SettingsError(f"runner.sandbox.{name}: expected 0 (no limit) or more")
    if settings.network == "hosts" and not settings.hosts:
        raise SettingsError("runner.sandbox.hosts: expected at least one host, or network = 'none'")
    if settings.network != "open" and settings.mode == "none":
        raise SettingsError(f"runner.sandbox.network: {settings.network!r} needs bubblewrap, but mode is 'none'")
    for name in ("readable", "writable"):
        for path in getattr(settings, name):
            if not path.startswith("/") or not path.strip("/"):
                raise SettingsError(f"runner.sandbox.{name}: {path!r} is no absolute path below /")
