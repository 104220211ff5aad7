"""Sizes and names: what is too long is two things, and what has no good name is not understood yet."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture import repository

FILE_LINES = 400
FUNCTION_LINES = 40
PARAMETERS = 5
NAMELESS = frozenset({"utils", "util", "common", "helpers", "helper", "manager", "base", "misc"})

CODE = ("libs/", "services/")
EVERYTHING = (*CODE, "tests/", "tools/", "deploy/")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(repository.tree(path)) if isinstance(node, Function))


def lines_of(function: Function) -> int:
    """The length of a function without its docstring."""
    first = function.body[0]
    described = ast.get_docstring(function, clean=False) is not None
    return (function.end_lineno or 0) - ((first.end_lineno or 0) if described else function.lineno)


def parameters_of(function: Function) -> list[str]:
    arguments = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    return [argument.arg for argument in arguments if argument.arg not in {"self", "cls"}]


def test_no_file_is_longer_than_its_limit() -> None:
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in repository.python_files(*EVERYTHING)}
    repository.none(
        f"{repository.name(path)}: {size} lines, {FILE_LINES} at most"
        for path, size in sizes.items()
        if size > FILE_LINES
    )


def test_no_function_is_longer_than_its_limit() -> None:
    repository.none(
        f"{repository.name(path, function.lineno)} {function.name}: {size} lines, {FUNCTION_LINES} at most"
        for path in repository.python_files(*EVERYTHING)
        for function in functions(path)
        if (size := lines_of(function)) > FUNCTION_LINES
    )


def test_no_function_takes_more_parameters_than_its_limit() -> None:
    """Tests are left out: their parameters are fixtures."""
    repository.none(
        f"{repository.name(path, function.lineno)} {function.name}: {len(taken)} parameters, {PARAMETERS} at most"
        for path in repository.python_files(*CODE)
        for function in functions(path)
        if len(taken := parameters_of(function)) > PARAMETERS
    )


def test_every_module_is_named_for_what_it_is() -> None:
    repository.none(
        repository.name(path)
        for path in repository.python_files(*EVERYTHING)
        if NAMELESS & {path.stem, *path.relative_to(repository.ROOT).parent.parts}
    )


def test_the_namespace_has_no_init() -> None:
    """One `__init__.py` in any `src/conveyor/` would hide every other member's package."""
    repository.none(repository.name(path) for path in repository.ROOT.glob("*/*/src/conveyor/__init__.py"))


@pytest.mark.parametrize("member", repository.members(), ids=lambda member: member.name)
def test_every_member_holds_one_typed_package(member: Path) -> None:
    inside = sorted(path.name for path in (member / "src" / "conveyor").iterdir() if path.name != "__pycache__")
    assert inside == [repository.package(member).name]
    assert (repository.package(member) / "__init__.py").is_file()
    assert (repository.package(member) / "py.typed").is_file(), "without py.typed its users are not type-checked"
