"""Every image: who it runs as, what it can write, what is in it."""

import json
from pathlib import Path

import pytest

from tests.rigs.containers import COMPOSE, ROOT, VERSION, Engine, Stack

pytestmark = [pytest.mark.docker, pytest.mark.behaviour("OP-9"), pytest.mark.timeout(1200)]
SERVICES = ("gateway", "stage-engine", "runner", "reconciler")
SECCOMP = ROOT / "deploy/docker/seccomp-bubblewrap.json"
HARDENED = ("--rm", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--network", "none")


@pytest.mark.parametrize("name", [*SERVICES, "cli", "demo"])
def test_an_image_is_nobody_and_says_what_it_is(engine: Engine, images: dict[str, str], name: str) -> None:
    image = json.loads(engine.run("image", "inspect", f"conveyor/{name}:{VERSION}"))[0]["Config"]
    assert image["User"] == "10001:10001"
    assert image["Entrypoint"][0] == "tini"
    assert image["Healthcheck"]["Test"][-1] == "conveyor.servicekit.probe"
    assert image["Labels"]["org.opencontainers.image.title"] == f"conveyor-{name}"
    assert image["Labels"]["org.opencontainers.image.version"] == VERSION
    assert not [text for text in image["Env"] if "INDEX" in text]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_starts_with_a_read_only_root(engine: Engine, images: dict[str, str], name: str) -> None:
    told = engine.run("run", *HARDENED, "--security-opt", "no-new-privileges", f"conveyor/{name}:{VERSION}", "--help")
    assert f"usage: conveyor-{name}" in told


def test_the_command_line_has_an_image_of_its_own(engine: Engine, images: dict[str, str]) -> None:
    assert engine.run("run", *HARDENED, f"conveyor/cli:{VERSION}", "--version").startswith("conveyor ")


def test_the_runner_has_git_and_bubblewrap_and_the_others_neither_simulators_nor_tests(
    engine: Engine, images: dict[str, str]
) -> None:
    tools = ("--entrypoint", "sh", f"conveyor/runner:{VERSION}", "-c", "git --version && bwrap --version")
    assert "bubblewrap" in engine.run("run", *HARDENED, *tools)
    inside = ("--entrypoint", "ls", f"conveyor/gateway:{VERSION}", "/opt/conveyor/members/conveyor")
    assert engine.run("run", *HARDENED, *inside).split() == ["adapters", "contracts", "gateway", "servicekit"]


def test_the_init_reaps_what_its_children_leave(engine: Engine, images: dict[str, str]) -> None:
    """An orphan that ends is gone, and not a zombie for the container's life."""
    script = "(sleep 0.1 &); sleep 0.5; cat /proc/[0-9]*/stat"
    said = engine.run("run", *HARDENED, f"conveyor/demo:{VERSION}", "sh", "-c", script)
    states = [line.rpartition(")")[2].split()[0] for line in said.splitlines()]
    assert states
    assert "Z" not in states


def test_in_the_sandbox_overlay_every_wall_stands(engine: Engine, images: dict[str, str]) -> None:
    """As nobody and without a capability the runner finds bubblewrap working; without the overlay it says why not."""
    options = ("no-new-privileges", f"seccomp={SECCOMP}", "systempaths=unconfined", "apparmor=unconfined")
    secured = tuple(part for option in options for part in ("--security-opt", option))
    look = (
        "import asyncio; from conveyor.runner.sandbox.ability import why_no_walls;"
        "print(asyncio.run(why_no_walls('/usr/bin/bwrap')))"
    )
    image = ("--entrypoint", "python", f"conveyor/runner:{VERSION}", "-c", look)
    without = engine.run("run", *HARDENED, "--security-opt", "no-new-privileges", *image)
    assert "cannot make namespaces" in without
    found = engine.run("run", *HARDENED, *secured, *image).strip()
    if found and not _allows_user_namespaces():
        pytest.skip(f"this machine's kernel allows no user namespaces: {found}")
    assert found == ""


def _allows_user_namespaces() -> bool:
    limit, apparmor = (
        Path("/proc/sys/user/max_user_namespaces"),
        Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
    )
    return limit.exists() and int(limit.read_text()) > 0 and not (apparmor.exists() and int(apparmor.read_text()))


@pytest.mark.parametrize("overlay", ["compose.demo.yaml", "compose.sandbox.yaml", "compose.beside.yaml"])
def test_the_compose_files_fit_together(engine: Engine, variables: dict[str, str], overlay: str) -> None:
    given = {**variables, "CONVEYOR_NETWORK": "plane_default"}
    Stack(engine, "conveyor-config", (COMPOSE, ROOT / "deploy" / overlay), given).compose("config", "--quiet")
