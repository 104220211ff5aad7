"""The demo in containers: whatever is killed on the way comes back, and the task gets done."""

import json
import time
from pathlib import Path

import pytest

from conveyor.cli.demo.configuration import script
from tests.rigs.containers import Stack, until

pytestmark = [pytest.mark.docker, pytest.mark.behaviour("OP-9"), pytest.mark.timeout(1800)]
SERVICES = ("gateway", "stage-engine", "runner", "reconciler")
KILLED = ("gateway", "reconciler", "stage-engine", "runner", "nats")
HEALTHY_S, NEXT_RUN_S, DONE_S = 90.0, 180.0, 420.0
OUTAGE_S = 4.0
"""How long what was killed stays away."""
WORK_S = 10
"""How long each run of the slow agent takes, so that kills meet it at work also where containers start slowly."""
REPOSITORY = "/var/lib/conveyor/gitea/repositories/acme/shop.git"


@pytest.fixture
def overlay(tmp_path: Path) -> tuple[Path, ...]:
    """A compose file that makes the demo's agent slow."""
    lines = script().replace("\ndo = ", f"\ndelay_s = {WORK_S}\ndo = ")
    rest = "".join(f'[[{role}]]\ndo = "succeed"\ndelay_s = {WORK_S}\n' for role in ("architect", "tester", "deployer"))
    slow = tmp_path / "script.toml"
    slow.write_text(lines + rest)
    slow.chmod(0o644)
    file = tmp_path / "slow.json"
    mount = f"{slow}:/opt/conveyor/demo/script.toml:ro"
    file.write_text(json.dumps({"services": {"runner": {"volumes": [mount]}}}))
    return (file,)


def run_of(stack: Stack) -> str:
    """The stage and run that go on now; empty when there is none."""
    tasks = stack.status()["tasks"]
    return f"{tasks[0]['stage']} {tasks[0]['run']}" if tasks and tasks[0]["run"] else ""


def all_healthy(stack: Stack) -> bool:
    return all(stack.health(name) == "healthy" for name in (*SERVICES, "nats", "plane", "gitea"))


def assert_done_and_merged_once(stack: Stack) -> None:
    until(lambda: stack.inspect("people")["State"]["Status"] == "exited", DONE_S, "the people go home")
    assert stack.inspect("people")["State"]["ExitCode"] == 0, stack.compose("logs", "people")
    (task,) = until(
        lambda: [one for one in stack.status()["tasks"] if one["stage"] == "done"], 60, "it is told as done"
    )
    assert task["pull_request"] == 1
    log = stack.compose("exec", "-T", "gitea", "git", "-C", REPOSITORY, "log", "--oneline", "--merges", "main")
    assert log.count("Merge pull request") == 1
    assert "nobody's name" in stack.compose("exec", "-T", "gitea", "git", "-C", REPOSITORY, "show", "main:src/shop.py")
    assert json.loads(stack.conveyor("dead", "list", "--json")) == []
    assert "deploy → done" in stack.conveyor("task", "show", task["key"])


def test_containers_are_hardened_and_the_demo_gets_its_task_done(demo: Stack) -> None:
    demo.up()
    until(lambda: all_healthy(demo), HEALTHY_S, "all healthy")
    for name in (*SERVICES, "nats"):
        container = demo.inspect(name)
        assert container["HostConfig"]["ReadonlyRootfs"], name
        assert container["HostConfig"]["CapDrop"] == ["ALL"], name
        assert container["HostConfig"]["Memory"] > 0, name
        assert container["HostConfig"]["PidsLimit"] > 0, name
        published = [port for port in (container["NetworkSettings"]["Ports"] or {}).values() if port]
        assert bool(published) == (name == "gateway"), name
    for name in SERVICES:
        assert demo.compose("exec", "-T", name, "id", "-u").strip() == "10001"
    assert_done_and_merged_once(demo)


def test_every_service_and_nats_may_be_killed_once(demo: Stack, overlay: tuple[Path, ...]) -> None:
    """Each is killed while an agent works, stays away for a while, and comes back."""
    demo.up()
    for name in KILLED:
        until(lambda: run_of(demo), NEXT_RUN_S, f"an agent at work while {name} is killed")
        demo.kill(name)
        assert demo.inspect(name)["State"]["ExitCode"] == 137
        time.sleep(OUTAGE_S)  # waits: an outage has a length
        demo.start(name)
        until(lambda who=name: demo.health(who) == "healthy", HEALTHY_S, f"{name} is healthy again")
    assert_done_and_merged_once(demo)
    until(lambda: all_healthy(demo), HEALTHY_S, "all healthy")


def test_down_and_up_in_the_middle_loses_nothing(demo: Stack, overlay: tuple[Path, ...]) -> None:
    """`docker compose down` while an agent works, then `up`: the same task goes on from where it was."""
    demo.up()
    until(lambda: run_of(demo).startswith("development"), NEXT_RUN_S, "a developer at work")
    before = demo.conveyor("task", "show", "SHOP-1")
    began = time.monotonic()
    demo.down()
    assert time.monotonic() - began < 120
    demo.up()
    until(lambda: all_healthy(demo), HEALTHY_S, "all healthy")
    after = demo.conveyor("task", "show", "SHOP-1")
    assert "analysis → " in before
    assert "analysis → " in after, "the history is the same one"
    assert_done_and_merged_once(demo)
