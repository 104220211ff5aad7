"""A Docker engine and compose projects on it, by their command lines: for tests that run what is shipped as images."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conveyor.servicekit.nats_process import server_binary
from conveyor.servicekit.settings import environment_with

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "deploy/docker/Dockerfile"
COMPOSE = ROOT / "deploy/compose.yaml"
DEMO = ROOT / "deploy/compose.demo.yaml"
VERSION = "test"
"""The tag of images built here, so that nobody's own are replaced."""
PYTHON, NATS = "python:3.11.14-slim-bookworm", "nats:2.15.1-alpine"
LIKE_PYTHON = ("python:3.11-slim-bookworm", "python:3.11-slim")
"""What serves as base where the pinned one is not there and cannot be pulled."""
WGET = """\
#!/usr/bin/env python3
import socket
with socket.create_connection(("127.0.0.1", 8222), 3) as server:
    server.sendall(b"GET /healthz HTTP/1.0\\r\\n\\r\\n")
    assert b" 200 " in server.recv(64)
"""
PULL_S, BUILD_S = 120.0, 900.0


class NoEngineError(Exception):
    """Nothing can be run here; the text says why."""


@dataclass(frozen=True)
class Engine:
    """The command lines of an engine. DOCKER and COMPOSE name other programs than `docker` and `docker compose`."""

    docker: tuple[str, ...]
    compose: tuple[str, ...]

    @staticmethod
    def find() -> "Engine":
        """Return the engine of this machine; NoEngineError says what is missing."""
        given = environment_with({})
        docker = tuple(given.get("DOCKER", "docker").split())
        if shutil.which(docker[0]) is None:
            raise NoEngineError("there is no docker command here")
        engine = Engine(docker, tuple(given.get("COMPOSE", "").split()) or (*docker, "compose"))
        for command in ((*docker, "info"), (*engine.compose, "version")):
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            if done.returncode:
                raise NoEngineError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[-200:]}")
        return engine

    def run(self, *arguments: str, timeout_s: float = 60.0) -> str:
        """Return what `docker ...` prints; AssertionError with its error when it fails."""
        return said((*self.docker, *arguments), {}, timeout_s)

    def has(self, image: str) -> bool:
        """Whether an image lies here."""
        command = (*self.docker, "image", "inspect", image)
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    def pulls(self, image: str) -> bool:
        """Whether an image lies here or could be fetched."""
        if self.has(image):
            return True
        try:
            return not subprocess.run(
                (*self.docker, "pull", "--quiet", image), check=False, capture_output=True, timeout=PULL_S
            ).returncode
        except subprocess.TimeoutExpired:
            return False


def ground(engine: Engine, folder: Path) -> dict[str, str]:
    """Return the variables by which the compose files are built and run here; NoEngineError without any base image.

    Where no image can be pulled, a Python image that lies here serves as base, and nats-server from our own packages.
    """
    base = next((image for image in (PYTHON, *LIKE_PYTHON) if engine.has(image)), None)
    if base is None and engine.pulls(PYTHON):
        base = PYTHON
    if base is None:
        raise NoEngineError(f"{PYTHON} is not here and cannot be pulled")
    nats = NATS if engine.has(NATS) or (base == PYTHON and engine.pulls(NATS)) else _own_nats(engine, base, folder)
    return {
        "CONVEYOR_BASE_IMAGE": base,
        "CONVEYOR_NATS_IMAGE": nats,
        "CONVEYOR_BUILD_NETWORK": "host",
        "CONVEYOR_VERSION": VERSION,
        "CONVEYOR_PUBLISH": "127.0.0.1:0",
    }


def _own_nats(engine: Engine, base: str, folder: Path) -> str:
    """Make a stand-in for the official image: the same server, and the wget that its health check calls."""
    shutil.copy(server_binary(), folder / "nats-server")
    (folder / "wget").write_text(WGET)
    (folder / "wget").chmod(0o755)
    (folder / "Dockerfile").write_text(f"FROM {base}\nCOPY nats-server wget /usr/local/bin/\n")
    engine.run("build", "--quiet", "--tag", f"conveyor/nats:{VERSION}", str(folder), timeout_s=BUILD_S)
    return f"conveyor/nats:{VERSION}"


class Stack:
    """One compose project. `close` removes it with everything it stored."""

    def __init__(self, engine: Engine, name: str, files: tuple[Path, ...], variables: Mapping[str, str]) -> None:
        self._engine = engine
        self._variables = variables
        chosen = (part for file in files for part in ("--file", str(file)))
        self._command = (*engine.compose, "--project-name", name, *chosen, "--profile", "tools")

    def compose(self, *arguments: str, timeout_s: float = 180.0) -> str:
        """Return what `docker compose ...` prints; AssertionError with its error when it fails."""
        return said((*self._command, *arguments), self._variables, timeout_s)

    def build(self, *services: str) -> None:
        """Build the images of these services, or of all."""
        self.compose("build", "--quiet", *services, timeout_s=BUILD_S)

    def up(self) -> None:
        """Start everything but the tools."""
        self.compose("up", "--detach", *(name for name in self.services() if name != "cli"))

    def down(self) -> None:
        """Stop and remove the containers, as `docker compose down` does; volumes stay."""
        self.compose("down")

    def close(self) -> None:
        """Remove everything."""
        self.compose("down", "--volumes", "--timeout", "5", "--remove-orphans")

    def services(self) -> list[str]:
        """The names of all services."""
        return self.compose("config", "--services").split()

    def inspect(self, service: str) -> Any:
        """What the engine knows of a service's container."""
        container = self.compose("ps", "--all", "--quiet", service).strip()
        return json.loads(self._engine.run("inspect", container))[0]

    def health(self, service: str) -> str:
        """`healthy`, `starting`, `unhealthy`; the container's own state where there is no check."""
        state = self.inspect(service)["State"]
        return state["Health"]["Status"] if "Health" in state and state["Running"] else state["Status"]

    def kill(self, service: str) -> None:
        """SIGKILL to everything in the container."""
        self.compose("kill", "--signal", "KILL", service)

    def start(self, service: str) -> None:
        """Bring a killed container back."""
        self.compose("start", service)

    def conveyor(self, *arguments: str) -> str:
        """Return what the `conveyor` command prints, run in a container beside the services."""
        return self.compose("run", "--rm", "--no-deps", "--no-TTY", "cli", *arguments)

    def status(self) -> Any:
        """What `conveyor status --all --json` shows."""
        return json.loads(self.conveyor("status", "--all", "--json"))


def said(command: tuple[str, ...], variables: Mapping[str, str], timeout_s: float) -> str:
    """Return a command's output; AssertionError with its error when it fails."""
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=environment_with({"DOCKER_BUILDKIT": "1", **variables}),
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}: {(done.stderr or done.stdout)[-2000:]}"
    return done.stdout


def until(condition: Callable[[], Any], timeout_s: float, what: str) -> Any:
    """Return the condition's value once it is true; AssertionError after the deadline says what was waited for."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {timeout_s:g} s in vain: {what}"
        time.sleep(0.2)  # waits: between two looks at the condition
    return value
