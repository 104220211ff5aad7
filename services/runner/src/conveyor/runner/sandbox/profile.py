"""The sandbox as data, and bubblewrap's arguments made of it: pure, so that what an agent can reach can be tested."""

from pathlib import PurePosixPath
from typing import Literal

from msgspec import Struct

SYSTEM = ("/usr", "/opt", "/nix/store", "/sys/devices/system/cpu")
"""Programs and libraries; nothing in them is a secret of ours."""
ETC = (
    "alternatives", "ca-certificates", "ca-certificates.conf", "crypto-policies", "debian_version", "fonts",
    "gai.conf", "host.conf", "hosts", "java", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "login.defs",
    "magic", "mime.types", "nsswitch.conf", "os-release", "perl", "pki", "protocols", "python3", "python3.11",
    "python3.12", "python3.13", "resolv.conf", "services", "shells", "ssl/certs", "ssl/openssl.cnf", "terminfo",
    "timezone", "xdg",
)  # fmt: skip
"""What programs look for in /etc. Not all of /etc: keys, passwords and configurations like ours lie there too."""
ROOTS = ("--disable-userns",)
"""For a runner that is root: no user namespace within, in which the agent would have root's rights over mounts."""
_SEALED = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus")
"""What the kernel lets its owner, root, write without further rights. A line in /proc/sys/kernel/core_pattern names a
program that the kernel runs outside. Covering it forbids to mount /proc anew, and so other sandboxes within."""
PROXY_SOCKET = "/run/conveyor-proxy.sock"
PROXY_PORT = 3128
USER = "agent"


class PrivateGit(Struct, frozen=True, kw_only=True):
    """The repository's administration as one run sees it: its own, over the mirror's objects."""

    mirror: str
    """Where the run's own folder is seen, which is where the worktree's `.git` points."""
    own: str
    """The run's own folder, which it may change."""
    objects: str
    """The mirror's objects, which it may read."""
    objects_seen: str
    """Where it sees them."""


class Profile(Struct, frozen=True, kw_only=True):
    """Everything an agent can reach. Paths are absolute, and the same inside and outside unless it is said."""

    program: str
    """bubblewrap itself."""
    worktree: str
    home: str
    scratch: str
    """Temporary files; also seen as /tmp."""
    shm: str
    """Seen as /dev/shm."""
    root: str
    """The runner's root: empty inside, but for what is named here."""
    passwd: str
    """The file seen as /etc/passwd, which knows the agent's user alone."""
    group: str
    git: PrivateGit | None = None
    links: tuple[tuple[str, str], ...] = ()
    """(path, target) of the system's links, such as /bin to usr/bin."""
    readable: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    """Files that are empty inside even where a readable folder holds them: our configuration."""
    network: Literal["open", "hosts", "none"] = "open"
    proxy: str = ""
    """The socket of our proxy, for `hosts`."""
    bridge: tuple[str, ...] = ()
    """The command that brings the proxy to the agent's loopback, put before the agent's own, for `hosts`."""
    user: tuple[int, int] = (1000, 1000)
    """The ids of user and group inside."""
    is_root: bool = False
    """Whether the runner is root: the kernel then takes the agent for root too where it looks at owners alone."""


def arguments(profile: Profile) -> tuple[str, ...]:
    """Return bubblewrap and its arguments, to be followed by `--` and the agent's command."""
    network = () if profile.network == "open" else ("--unshare-net",)
    user, group = map(str, profile.user)
    return (
        profile.program,
        "--unshare-user", "--uid", user, "--gid", group,
        "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", *network,
        "--hostname", "sandbox",
        "--die-with-parent",  # whoever kills bubblewrap kills what is in it
        "--new-session",  # signals to the agent's group do not reach bubblewrap's monitor, and no terminal is reached
        "--cap-drop", "ALL", *(ROOTS if profile.is_root else ()),
        *_mounts(profile),
        "--remount-ro", profile.root,  # what is no bind is memory, which nobody shall fill
        "--remount-ro", "/dev",
        "--remount-ro", "/",
        "--chdir", profile.worktree,
    )  # fmt: skip


def command(profile: Profile, argv: tuple[str, ...]) -> tuple[str, ...]:
    """Return what is run inside: the agent's command, behind the bridge where there is one."""
    return (*profile.bridge, *argv)


def proxy_variables(profile: Profile) -> dict[str, str]:
    """Return the variables by which programs find the proxy; none where the network is open or absent."""
    if profile.network != "hosts":
        return {}
    url, ours = f"http://127.0.0.1:{PROXY_PORT}", "localhost,127.0.0.1,::1"
    return {
        "HTTPS_PROXY": url, "https_proxy": url, "HTTP_PROXY": url, "http_proxy": url, "NO_PROXY": ours,
        "no_proxy": ours, "NODE_USE_ENV_PROXY": "1",
    }  # fmt: skip


def _mounts(profile: Profile) -> list[str]:
    """Return the mounts, what lies within another one after it."""
    mounts: dict[str, tuple[str, ...]] = {
        "/dev": ("--dev", "/dev"),
        "/dev/shm": ("--bind", profile.shm, "/dev/shm"),  # noqa: S108 - this is the sandbox's own
        "/proc": ("--proc", "/proc"),
    }
    for path in _SEALED if profile.is_root else ():
        mounts[path] = ("--ro-bind-try", path, path)
    for path in SYSTEM:
        mounts[path] = ("--ro-bind-try", path, path)
    for name in ETC:
        mounts[f"/etc/{name}"] = ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")
    for path, target in profile.links:
        mounts[path] = ("--symlink", target, path)
    for path in profile.readable:
        mounts[path] = ("--ro-bind-try", path, path)
    mounts["/etc/passwd"] = ("--ro-bind", profile.passwd, "/etc/passwd")
    mounts["/etc/group"] = ("--ro-bind", profile.group, "/etc/group")
    mounts[profile.root] = ("--tmpfs", profile.root)
    mounts["/tmp"] = ("--bind", profile.scratch, "/tmp")  # noqa: S108 - this is the sandbox's own
    mounts["/var/tmp"] = ("--symlink", "../tmp", "/var/tmp")  # noqa: S108 - as above
    for path in (*profile.writable, profile.scratch, profile.home, profile.worktree):
        mounts[path] = ("--bind", path, path)
    mounts |= _git(profile) | _proxy(profile) | _hidden(profile, list(mounts))
    ordered = sorted(mounts, key=lambda path: PurePosixPath(path).parts)
    return [argument for path in ordered for argument in mounts[path]]


def _git(profile: Profile) -> dict[str, tuple[str, ...]]:
    git = profile.git
    if git is None:
        return {}
    return {
        git.mirror: ("--bind", git.own, git.mirror),
        git.objects_seen: ("--ro-bind", git.objects, git.objects_seen),
        f"{profile.worktree}/.git": ("--ro-bind", f"{profile.worktree}/.git", f"{profile.worktree}/.git"),
    }


def _proxy(profile: Profile) -> dict[str, tuple[str, ...]]:
    return {PROXY_SOCKET: ("--bind", profile.proxy, PROXY_SOCKET)} if profile.proxy else {}


def _hidden(profile: Profile, seen: list[str]) -> dict[str, tuple[str, ...]]:
    """Cover what lies in a folder that is seen; elsewhere it is absent anyway."""
    return {
        path: ("--ro-bind", "/dev/null", path)
        for path in profile.hidden
        if any(PurePosixPath(path).is_relative_to(folder) for folder in seen)
    }
