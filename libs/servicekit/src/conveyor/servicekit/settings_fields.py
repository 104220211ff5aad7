"""What the fields of a Settings Struct hold; lets the reader of settings turn text into the right type."""

import typing
from types import UnionType
from typing import Any

import msgspec

from conveyor.servicekit.secret import Secret


def field_types(kind: type[msgspec.Struct] | None) -> dict[str, Any]:
    """Return the fields of a Struct by the name they have in the file; nothing for None."""
    return {field.encode_name: field.type for field in msgspec.structs.fields(kind)} if kind else {}


def is_secret(kind: Any) -> bool:
    """Whether a field holds one secret, or one or none."""
    return kind is Secret or (_is_union(kind) and Secret in typing.get_args(kind))


def is_secrets(kind: Any) -> bool:
    """Whether a field holds several secrets."""
    return typing.get_origin(kind) is tuple and Secret in typing.get_args(kind)


def struct_of(kind: Any) -> type[msgspec.Struct] | None:
    """Return the Struct that this type is, may be, or holds several of; None when there is none."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    for inner in typing.get_args(kind):
        found = struct_of(inner)
        if found is not None:
            return found
    return None


def _is_union(kind: Any) -> bool:
    return isinstance(kind, UnionType) or typing.get_origin(kind) is typing.Union
