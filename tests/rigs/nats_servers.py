"""Real nats-servers with the configuration files of deploy/, moved to loopback, free ports and a folder of the test."""

import contextlib
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from conveyor.servicekit.nats_process import die_with_parent, server_binary

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def moved(conf: Path, folder: Path, *, port: int, changes: Mapping[str, str] | None = None) -> Path:
    """Write a copy of this configuration that keeps to loopback and to `folder`; everything else stays as it is.

    `changes` are further replacements; AssertionError for one that finds nothing, so that none goes stale.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = conf.read_text(encoding="utf-8")
    wanted = {
        r"(?m)^host: .*$": "host: 127.0.0.1",
        r"(?m)^port: .*$": f"port: {port}",
        r"(?m)^http: .*$": f"http: 127.0.0.1:{free_port()}",
        r"(?m)^(\s*)store_dir: .*$": rf'\1store_dir: "{folder}/data"',
        **(changes or {}),
    }
    for pattern, replacement in wanted.items():
        text, count = re.subn(pattern, replacement, text)
        assert count == 1, f"{conf.name}: {count} places for {pattern}"
    copy = folder / "nats.conf"
    copy.write_text(text + f'\nlog_file: "{folder}/server.log"\n', encoding="utf-8")
    return copy


class Server:
    """One nats-server with a configuration file."""

    def __init__(self, conf: Path, port: int, variables: Mapping[str, str] | None = None) -> None:
        self.conf = conf
        self.url = f"nats://127.0.0.1:{port}"
        self._environment = {**os.environ, **(variables or {})}  # noqa: TID251 - for a program that is not ours
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; who needs it waits by connecting."""
        self._process = subprocess.Popen(
            [server_binary(), "--config", str(self.conf)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self._environment,
            preexec_fn=die_with_parent(),  # noqa: PLW1509 - one prctl, prepared beforehand: no lock is taken
        )

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it with this signal and wait for it; calling it again changes nothing."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait(timeout=20)


@contextlib.contextmanager
def running(*servers: Server) -> Iterator[tuple[Server, ...]]:
    """Start these servers together and end those that are left."""
    try:
        for server in servers:
            server.start()
        yield servers
    finally:
        for server in servers:
            server.end(signal.SIGKILL)
