"""What the services' Settings say of themselves: every section and key with its sentence and default.

Read from the Structs and the docstrings below their fields, so that it cannot differ from what the services take.
"""

import ast
import inspect
import textwrap
import typing
from itertools import pairwise
from typing import Any, Literal

import msgspec
from msgspec import Struct, structs

from conveyor.cli.settings import CliSettings
from conveyor.gateway.settings import Settings as Gateway
from conveyor.reconciler.settings import Settings as Reconciler
from conveyor.runner.settings import Settings as Runner
from conveyor.servicekit.settings import SECTIONS
from conveyor.servicekit.settings_fields import field_types, is_secret, is_secrets, struct_of
from conveyor.stage_engine.settings import Settings as Engine

SETTINGS: tuple[type[Struct], ...] = (CliSettings, Gateway, Engine, Runner, Reconciler)
"""Whoever reads the configuration."""


class Key(Struct, frozen=True, kw_only=True):
    """One key of a section."""

    name: str
    about: str
    """What it means; empty for none."""
    default: Any
    """As the configuration would say it; NODEFAULT where the key must be set."""
    is_secret: bool = False
    choices: tuple[str, ...] = ()


class Table(Struct, frozen=True, kw_only=True):
    """One section, or a table inside one."""

    path: str
    """Such as `runner` or `runner.http`; for named tables the section, such as `agents`."""
    about: str
    shape: Literal["one", "many", "named", "free"] = "one"
    """`[x]`, `[[x]]`, `[x.<name>]`, or `[x]` with keys of one's own."""
    keys: tuple[Key, ...] = ()
    tables: tuple["Table", ...] = ()


def sections() -> tuple[Table, ...]:
    """Return every section that any service reads, in the order of the documents."""
    kinds = {name: kind for settings in SETTINGS for name, kind in field_types(settings).items()}
    return tuple(_section(name, kinds[name]) for name in SECTIONS if name in kinds)


def described(kind: type[Struct]) -> dict[str, str]:
    """Return the docstring below each field of a Struct, as one paragraph."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    found = {}
    for field, after in pairwise(tree.body if isinstance(tree, ast.ClassDef) else ()):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            found[field.target.id] = _text(after)
    return found


def _text(node: ast.stmt) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return " ".join(node.value.value.split())
    return ""


def _section(name: str, kind: Any) -> Table:
    inner = struct_of(kind)
    if inner is None:
        return Table(path=name, about="", shape="free")
    shape: Literal["one", "many", "named"] = "one"
    if typing.get_origin(kind) is tuple:
        shape = "many"
    elif typing.get_origin(kind) is dict:
        shape = "named"
    return structs.replace(_table(name, inner), shape=shape)


def _table(path: str, kind: type[Struct]) -> Table:
    about, keys, tables = described(kind), [], []
    for field in structs.fields(kind):
        inner = struct_of(field.type)
        if inner is not None:
            tables.append(_table(f"{path}.{field.encode_name}", inner))
            continue
        keys.append(
            Key(
                name=field.encode_name,
                about=about.get(field.name, ""),
                default=_default(field),
                is_secret=is_secret(field.type) or is_secrets(field.type),
                choices=_choices(field.type),
            )
        )
    return Table(path=path, about=inspect.getdoc(kind) or "", keys=tuple(keys), tables=tuple(tables))


def _default(field: structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def _choices(kind: Any) -> tuple[str, ...]:
    if typing.get_origin(kind) is Literal:
        return tuple(str(choice) for choice in typing.get_args(kind))
    return tuple(choice for inner in typing.get_args(kind) for choice in _choices(inner))
