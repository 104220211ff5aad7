"""What the architecture tests read: the files of this repository, their syntax trees and the packages they form."""

import ast
import functools
import subprocess
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("gateway", "stage-engine", "runner", "reconciler")
"""The services proper; the command line is none of them: it is who starts them."""


@functools.cache
def files() -> tuple[Path, ...]:
    """Every file that is committed or would be: what git tracks, and new files it does not ignore."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return tuple(path for name in listed.split("\0") if name and (path := ROOT / name).is_file())


def python_files(*folders: str) -> tuple[Path, ...]:
    """Every Python file under these folders of the repository."""
    return tuple(
        path for path in files() if path.suffix == ".py" and path.relative_to(ROOT).as_posix().startswith(folders)
    )


@functools.cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def name(path: Path, line: int = 0) -> str:
    """How a finding names its place: `libs/x.py:12`."""
    place = path.relative_to(ROOT).as_posix()
    return f"{place}:{line}" if line else place


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every module that a file imports, with the line it stands on; `from a import b` counts as `a.b`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def members() -> tuple[Path, ...]:
    """The folder of every member of the workspace."""
    return tuple(sorted(path.parent for path in ROOT.glob("*/*/pyproject.toml")))


def package(member: Path) -> Path:
    """The folder of the one package that a member holds."""
    return member / "src" / "conveyor" / member.name.replace("-", "_")


def dependencies(member: Path) -> frozenset[str]:
    """The distributions that a member's pyproject.toml names."""
    project = tomllib.loads((member / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return frozenset(project.get("dependencies", ()))


def none(findings: Iterable[str]) -> None:
    """Fail with every finding on a line of its own."""
    listed = sorted(findings)
    assert not listed, "\n" + "\n".join(listed)
