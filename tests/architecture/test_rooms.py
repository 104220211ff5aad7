"""Every service has the same rooms, so that whoever has read one can find their way in all."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture import repository

ROOMS = ("__main__", "app", "settings", "ports", "handlers", "core")
PLAIN = frozenset(
    (
        "__future__",
        "collections",
        "dataclasses",
        "datetime",
        "decimal",
        "enum",
        "fractions",
        "functools",
        "hashlib",
        "html",
        "itertools",
        "json",
        "math",
        "operator",
        "re",
        "string",
        "textwrap",
        "types",
        "typing",
        "msgspec",
    )
)
"""What a core may import beside itself and the contracts: plain values, and msgspec for their Structs."""
DOORS = frozenset({"open", "print", "input", "exec", "eval", "__import__"})

CORES = tuple(
    path
    for member in repository.members()
    for path in repository.python_files(f"{member.relative_to(repository.ROOT).as_posix()}/src/")
    if path.is_relative_to(repository.package(member) / "core")
)


def package_of(service: str) -> Path:
    return repository.package(repository.ROOT / "services" / service)


def has_room(package: Path, room: str) -> bool:
    return (package / f"{room}.py").is_file() or (package / room / "__init__.py").is_file()


@pytest.mark.parametrize("service", repository.SERVICES)
def test_a_service_has_all_its_rooms(service: str) -> None:
    package = package_of(service)
    repository.none(f"{repository.name(package)} has no {room}" for room in ROOMS if not has_room(package, room))
    assert (package / "core" / "__init__.py").is_file(), "the core is a folder: it will grow"


def impurities(path: Path) -> Iterator[str]:
    """What a core file does that a pure function cannot."""
    for node in ast.walk(repository.tree(path)):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            yield f"{repository.name(path, node.lineno)}: awaits; a core is plain functions"
        elif isinstance(node, ast.Raise):
            yield f"{repository.name(path, node.lineno)}: raises; a surprise is data that the shell logs"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in DOORS:
            yield f"{repository.name(path, node.lineno)}: calls {node.func.id}"


def is_plain(module: str, core: str) -> bool:
    inside = module.startswith((f"{core}.", "conveyor.contracts.")) or module == core
    return inside or module.partition(".")[0] in PLAIN


def test_a_core_imports_contracts_and_plain_types_only() -> None:
    repository.none(
        f"{repository.name(path, line)}: imports {module}"
        for path in CORES
        for line, module in repository.imports(path)
        if not is_plain(module, core_of(path))
    )


def core_of(path: Path) -> str:
    """The dotted name of the core that a file belongs to."""
    parts = path.parts
    first = len(parts) - 1 - parts[::-1].index("conveyor")
    return ".".join(parts[first : parts.index("core", first) + 1])


def test_a_core_neither_awaits_nor_raises_nor_opens_anything() -> None:
    repository.none(impurity for path in CORES for impurity in impurities(path))
