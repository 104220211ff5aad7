"""Stands between the runner and one run's first process: gives it limits, adopts its orphans, leaves nothing behind.

A program of its own, run as `python -I -S keeper.py STATUS_FD PARENT_PID CGROUP LIMITS ARGV...`; the standard library
only, so that it starts in milliseconds. What it does:

- It is a child subreaper: whatever the run leaves without a parent becomes its child, so that ancestry tells what is
  of the run, also what cleared its environment and moved to a session of its own.
- When the first process ends, it kills the rest and ends the same way. On SIGTERM it kills all of the run. It gets
  that SIGTERM from the kernel when the runner dies, however the runner dies.
- It says on STATUS_FD: `pid N` (the first process), `error TEXT` (it could not start), `survivors N` (how many
  outlived it).
"""

import ctypes
import os
import resource
import signal
import sys
import time
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_WAITED_FOR = {signal.SIGCHLD, signal.SIGTERM}
_IGNORED = (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE, signal.SIGUSR1, signal.SIGUSR2)
_KILL_S = 10.0
"""How long killing may take; only a process in the kernel's own sleep lasts longer."""


def descendants(root: int) -> list[int]:
    """Return the ids of every living process below this one, parents before their children."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - pathlib would cost as much as all the rest of a start
        if name.isdigit() and (parent := _parent(name)):
            children.setdefault(parent, []).append(int(name))
    found, waiting = [], [root]
    while waiting:
        below = children.pop(waiting.pop(0), [])
        found += below
        waiting += below
    return found


def conceal() -> None:
    """Let no other process of our user trace us or read our memory and environment; root still can."""
    _prctl(_PR_SET_DUMPABLE, 0)


def kill_descendants(root: int, cgroup: str = "") -> set[int]:
    """Kill everything below this process and return what that was; repeated, since the dying may still fork."""
    killed: set[int] = set()
    deadline = time.monotonic() + _KILL_S
    while (alive := descendants(root)) and time.monotonic() < deadline:
        if not _killed_by_kernel(cgroup):
            _stop_all(root)
            alive = descendants(root)
        for process_id in alive:
            _send(process_id, signal.SIGKILL)
        killed.update(alive)
        time.sleep(0.002)
    return killed


def _parent(name: str) -> int:
    """Return the parent of a living process; 0 when it is dead or gone."""
    try:
        with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123 - as above
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    is_dead = fields[0] in {b"Z", b"X"} and int(fields[17]) <= 1  # else only its first thread has ended
    return 0 if is_dead else int(fields[1])


def _stop_all(root: int) -> None:
    """Stop everything before anything is killed: what stands still cannot fork while we count."""
    stopped: set[int] = set()
    for _ in range(50):
        moving = set(descendants(root)) - stopped
        if not moving:
            return
        for process_id in moving:
            _send(process_id, signal.SIGSTOP)
        stopped |= moving


def _killed_by_kernel(cgroup: str) -> bool:
    """Whether the run has a control group, which the kernel kills at one blow."""
    if not cgroup:
        return False
    try:
        with open(f"{cgroup}/cgroup.kill", "w") as file:  # noqa: PTH123 - as above
            file.write("1")
    except OSError:
        return False
    return True


def _send(process_id: int, number: int) -> None:
    try:
        os.kill(process_id, number)
    except (ProcessLookupError, PermissionError):
        return  # gone, or a set-user-id program's, which the kernel does not let us touch


class _Keeper:
    """The life of one run's first process, seen by its parent."""

    def __init__(self, status_fd: int, cgroup: str) -> None:
        self._status_fd = status_fd
        self._cgroup = cgroup
        self._ended: dict[int, int] = {}

    def keep(self, first: int) -> int:
        """Wait for the first process, kill what it leaves, and return how it ended."""
        self._say(b"pid %d\n" % first)
        while first not in self._ended:
            if signal.sigwait(_WAITED_FOR) == signal.SIGTERM:
                kill_descendants(os.getpid(), self._cgroup)
            self._reap()
        left = kill_descendants(os.getpid(), self._cgroup)
        self._reap()
        self._say(b"survivors %d\n" % len(left))
        return self._ended[first]

    def _say(self, line: bytes) -> None:
        try:
            os.write(self._status_fd, line)
        except BrokenPipeError:
            return  # the runner is dead; what it started is ended all the same

    def _reap(self) -> None:
        """Take leave of every dead child."""
        while True:
            try:
                process_id, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not process_id:
                return
            self._ended[process_id] = status


def _main(arguments: list[str]) -> NoReturn:
    status_fd, parent, cgroup, limits = int(arguments[0]), int(arguments[1]), arguments[2], arguments[3]
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    conceal()
    signal.pthread_sigmask(signal.SIG_BLOCK, _WAITED_FOR)
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    _die_with(parent, signal.SIGTERM)
    os.set_inheritable(status_fd, False)  # noqa: FBT003 - its only parameter
    keeper = os.getpid()
    first = os.fork()
    if not first:
        try:
            _become(keeper, cgroup, limits, arguments[4:])
        except (OSError, ValueError) as error:
            os.write(status_fd, f"error {error}\n".encode())
        os._exit(127)
    # The end of the output is the end of those who print it, so we let go of it; 3 to 9 may be the sandbox's.
    os.closerange(0, 3)
    os.closerange(3, status_fd)
    os.closerange(status_fd + 1, 64)
    _end_like(_Keeper(status_fd, cgroup).keep(first))


def _become(keeper: int, cgroup: str, limits: str, argv: list[str]) -> NoReturn:
    """Turn into the run's first process: in a session and group of its own, limited, gone when its keeper is."""
    os.setsid()
    _die_with(keeper, signal.SIGKILL)
    if cgroup:
        with open(f"{cgroup}/cgroup.procs", "w") as file:  # noqa: PTH123 - as above
            file.write("0")
    for name, _, value in (limit.partition("=") for limit in limits.split(",") if limit):
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (int(value), int(value)))
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    for number in (*_IGNORED, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _WAITED_FOR)
    os.execvp(argv[0], argv)  # noqa: S606 - becoming another program without a shell is the point


def _end_like(status: int) -> NoReturn:
    """End as the first process did, so that our parent sees its code or its signal."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if number not in {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _die_with(parent: int, number: int) -> None:
    """Ask the kernel for a signal at the parent's end; if it has ended already, end too."""
    _prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(127)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl {option} failed")


if __name__ == "__main__":
    _main(sys.argv[1:])
