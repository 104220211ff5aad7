"""The import contracts can fail, each of them, and every member names what it imports."""

import ast
import importlib.metadata
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture import repository

# The linter without site: the installed packages, but not this repository's own, which .pth files would add.
LINT = """
import sys
sys.path[:0] = {paths!r}
from importlinter.cli import lint_imports_command
lint_imports_command(["--no-cache", "--config", {config!r}])
"""

HOUSE = (
    "cli/demo.py",
    "gateway/app.py",
    "gateway/handlers.py",
    "gateway/ports.py",
    "gateway/core/admit.py",
    "stage_engine/core/decide.py",
    "runner/app.py",
    "reconciler/app.py",
    "adapters/plane/tracker.py",
    "adapters/gitea/forge.py",
    "adapters/telegram.py",
    "servicekit/clock.py",
    "servicekit/bus/connection.py",
    "simulator/world.py",
    "contracts/ids.py",
)
"""A small house of the same shape as ours, in which nobody imports anybody."""

ALLOWED = {
    "cli/demo.py": "import conveyor.simulator.world, conveyor.gateway.app",
    "gateway/app.py": "import conveyor.adapters.plane.tracker, conveyor.gateway.handlers",
    "gateway/handlers.py": "import conveyor.gateway.core.admit, conveyor.servicekit.clock",
    "gateway/core/admit.py": "import conveyor.contracts.ids, datetime, re",
    "servicekit/bus/connection.py": "import nats.js, asyncio",
    "servicekit/clock.py": "import time",
}

VIOLATIONS = [
    ("Imports run one way", "contracts/ids.py", "import conveyor.servicekit.clock"),
    ("Imports run one way", "adapters/telegram.py", "import conveyor.servicekit.clock"),
    ("Imports run one way", "simulator/world.py", "import conveyor.adapters.telegram"),
    ("Imports run one way", "helpdesk/app.py", "import conveyor.contracts.ids"),
    ("Services never import each other", "runner/app.py", "import conveyor.reconciler.app"),
    ("Inside a service", "gateway/ports.py", "import conveyor.gateway.handlers"),
    ("Inside a service", "gateway/handlers.py", "import conveyor.gateway.app"),
    ("Adapters are unaware of each other", "adapters/plane/tracker.py", "from conveyor.adapters.gitea import forge"),
    ("Only a service's app names an adapter", "gateway/handlers.py", "import conveyor.adapters.plane.tracker"),
    ("The simulator serves", "gateway/app.py", "import conveyor.simulator.world"),
    ("Only servicekit's bus imports nats", "runner/app.py", "from nats.js import api"),
    ("Only servicekit's bus imports nats", "servicekit/clock.py", "import nats"),
    ("Cores are pure", "stage_engine/core/decide.py", "import asyncio"),
    ("Cores are pure", "gateway/core/admit.py", "import conveyor.servicekit.clock"),
    ("Cores are pure", "gateway/core/admit.py", "import httpx"),
]


LANGUAGE = frozenset({"msgspec"})
"""What comes with the contracts: their public types are its Structs, so whoever speaks them speaks it too."""


def build(root: Path, lines: dict[str, str]) -> None:
    """Lay out the small house with these imports in it."""
    for name in {*HOUSE, *lines}:
        path = root / "conveyor" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(lines.get(name, "") + "\n", encoding="utf-8")
        for folder in path.relative_to(root / "conveyor").parents[:-1]:
            (root / "conveyor" / folder / "__init__.py").touch()


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    code = LINT.format(
        paths=[str(root), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")],
        config=str(repository.ROOT / ".importlinter"),
    )
    return subprocess.run([sys.executable, "-S", "-c", code], cwd=root, capture_output=True, text=True, check=False)


def test_the_import_contracts_hold_where_nobody_breaks_them(tmp_path: Path) -> None:
    build(tmp_path, ALLOWED)
    done = lint(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("contract", "file", "line"), VIOLATIONS, ids=lambda value: str(value)[:48])
def test_an_import_contract_is_broken_by(tmp_path: Path, contract: str, file: str, line: str) -> None:
    build(tmp_path, ALLOWED | {file: line})
    done = lint(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"\n{contract}" in done.stdout.split("Broken contracts")[-1], done.stdout


def undeclared(member: Path) -> Iterator[str]:
    """Every import of a member that its pyproject.toml does not speak of."""
    owners = importlib.metadata.packages_distributions()
    declared = repository.dependencies(member)
    for path in repository.python_files(member.relative_to(repository.ROOT).as_posix() + "/src/"):
        for line, module in repository.imports(path):
            top, *rest = module.split(".")
            if top in sys.stdlib_module_names:
                continue
            own = [f"conveyor-{rest[0].replace('_', '-')}"] if rest else []
            names = {name.lower().replace("_", "-") for name in (own if top == "conveyor" else owners.get(top, [top]))}
            if not names & {*declared, *LANGUAGE, f"conveyor-{member.name}"}:
                yield f"{repository.name(path, line)}: imports {module}, but {member.name} does not depend on it"


@pytest.mark.parametrize("member", repository.members(), ids=lambda member: member.name)
def test_a_member_declares_what_it_imports(member: Path) -> None:
    """A member must work when it is installed with its own dependencies alone."""
    repository.none(undeclared(member))


def test_tests_are_the_only_place_for_test_tools() -> None:
    tools = {"pytest", "hypothesis"}
    repository.none(
        f"{repository.name(path, line)}: {module}"
        for path in repository.python_files("libs/", "services/")
        for line, module in repository.imports(path)
        if module.split(".")[0] in tools
    )


def test_nobody_imports_by_a_relative_path() -> None:
    """Full names are found by a search, and the import linter's reader needs no context for them."""
    repository.none(
        repository.name(path, node.lineno)
        for path in repository.python_files("libs/", "services/", "tests/")
        for node in ast.walk(repository.tree(path))
        if isinstance(node, ast.ImportFrom) and node.level
    )
