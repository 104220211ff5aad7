"""Wrong use is told in one sentence with exit code 2, before anything is asked of a bus."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from conveyor.cli.app import build
from conveyor.cli.exits import Exit, StopError
from conveyor.cli.operate.said import speaker

WRONG = [
    (["approve"], "KEY"),
    (["approve", "shop-12"], "SHOP-12"),
    (["reject", "SHOP-1"], "--reason"),
    (["answer", "SHOP-1"], "TEXT"),
    (["fly"], "fly"),
    (["dead", "replay", "zero"], "SEQ"),
    (["pipeline", "graph", "--pipeline", "other"], "default"),
]


def invoke(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(build(), arguments)
    return done.exit_code, done.output


@pytest.mark.parametrize("command", ["status", "task show SHOP-1", "approve SHOP-1", "logs SHOP-1", "dead list"])
def test_an_unreachable_bus_has_its_own_code(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conveyor.cli.session.CONNECT_S", 0.2)
    code, told = invoke("--nats", "nats://127.0.0.1:1", *command.split())
    assert code == Exit.NO_BUS
    assert "no NATS server at nats://127.0.0.1:1" in told
    assert "Traceback" not in told


@pytest.mark.parametrize(("arguments", "named"), WRONG, ids=lambda value: str(value)[:40])
def test_wrong_use_names_what_was_expected(arguments: list[str], named: str) -> None:
    code, told = invoke(*arguments)
    assert code == Exit.USAGE, told
    assert named in told
    assert "Traceback" not in told


def test_a_user_without_a_name_is_asked_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container the user is often a number that nobody gave a name."""

    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 10001")

    monkeypatch.setattr("getpass.getuser", nameless)
    with pytest.raises(StopError, match="--as NAME") as caught:
        speaker("")
    assert caught.value.code is Exit.USAGE
    assert speaker("ada").name == "ada"


@pytest.mark.behaviour("OP-2")
def test_a_command_that_was_interrupted_does_not_say_that_it_is_done() -> None:
    """A script that approves and goes on must notice that nothing was approved."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        command = ["--nats", f"nats://127.0.0.1:{mute.getsockname()[1]}", "approve", "SHOP-1"]
        program = [sys.executable, "-m", "conveyor.cli", *command]
        with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            try:
                mute.settimeout(30)
                mute.accept()[0].close()
                process.send_signal(signal.SIGINT)
                told, _ = process.communicate(timeout=30)
            finally:
                process.kill()
    assert process.returncode == Exit.INTERRUPTED, told
    assert "Traceback" not in told


def test_help_tells_the_exit_codes() -> None:
    code, told = invoke("--help")
    assert code == Exit.OK
    assert "3 no such task" in " ".join(told.split())


def test_a_missing_configuration_is_told(tmp_path: Path) -> None:
    code, told = invoke("--config", str(tmp_path / "nowhere.toml"), "status")
    assert code == Exit.USAGE
    assert "nowhere.toml" in told


def test_a_pipeline_that_cannot_run_is_refused_in_words(tmp_path: Path) -> None:
    broken = tmp_path / "pipeline.toml"
    broken.write_text('name = "p"\n[[stages]]\nname = "build"\nrole = "builder"\ngate = ["luck"]\n')
    code, told = invoke("pipeline", "check", str(broken))
    assert code == Exit.USAGE
    assert "unknown check 'luck'" in told
    broken.write_text('name = "p"\n[[stages]]\nname = "development"\nrole = "builder"\ngate = ["has_changes"]\n')
    assert invoke("pipeline", "check", str(broken))[0] == Exit.OK
