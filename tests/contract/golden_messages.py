"""The golden messages: one example on disk for every message type and version that was ever written.

They are append-only: a file that stands here is a message that may stand in somebody's stream, and stays readable.
`python -m tests.contract.golden_messages` adds the missing ones, made from the types themselves, every field filled.
"""

import sys
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec import inspect as shapes

from conveyor.contracts import codec

FOLDER = Path(__file__).parent / "golden" / "messages"

TEXTS = {
    "project": "shop",
    "key": "SHOP-12",
    "event_id": "0f8e2a7c51d94b3e8a6c1f0d2b4e6a80",
    "command_id": "shop-SHOP-12-7-0",
    "gate_id": "shop-SHOP-12-7-1",
    "run_id": "shop-SHOP-12-r7",
    "issue_id": "5b0c9a52-6f0e-4a8e-9c37-2f1f7f6f3b10",
    "branch": "feature/SHOP-12-gift-cards",
    "sha": "2c26b46b68ffc68ff99b453c1d30413413422d70",
    "head": "2c26b46b68ffc68ff99b453c1d30413413422d70",
    "title": "Gift cards, größer & kleiner",
}
"""Texts that are easier to read when they look like what they stand for; any other text is its field's name."""


def sample(kind: type[Struct]) -> Any:
    """One message of this type with every field filled."""
    return _value(shapes.type_info(kind), "")


def _value(shape: shapes.Type, name: str) -> Any:
    match shape:
        case shapes.StructType():
            return shape.cls(**{part.name: _value(part.type, part.name) for part in shape.fields if part.name != "v"})
        case shapes.UnionType():
            return _value(next(one for one in shape.types if not isinstance(one, shapes.NoneType)), name)
        case shapes.VarTupleType():
            return (_value(shape.item_type, name.removesuffix("s")),)
        case shapes.DictType():
            return {"one": _value(shape.value_type, name)}
        case shapes.EnumType():
            return _last(shape.cls)
        case _:
            return _plain(shape, name)


def _last(kind: type[Enum]) -> Enum:
    """The last one: the first is often the default, which is left out of a message."""
    return list(kind)[-1]


def _plain(shape: shapes.Type, name: str) -> Any:
    plain = {
        shapes.StrType: TEXTS.get(name, name),
        shapes.IntType: 7,
        shapes.FloatType: 2.5,
        shapes.BoolType: True,
        shapes.DateTimeType: datetime(2026, 3, 1, 9, 30, 15, 250000, tzinfo=UTC),
    }
    return plain[type(shape)]


def path_of(name: str, version: int) -> Path:
    """Where the golden message of a type and version lies."""
    return FOLDER / f"{name}.v{version}.json"


def add_missing() -> list[Path]:
    """Write the golden messages that are not there yet; never touch one that is."""
    added = []
    for name, kind in codec.TYPES.items():
        path = path_of(name, codec.current_version(name))
        if not path.exists():
            path.write_bytes(msgspec.json.format(codec.encode(sample(kind)), indent=2) + b"\n")
            added.append(path)
    return added


if __name__ == "__main__":
    sys.stdout.writelines(f"added {path.name}\n" for path in add_missing())
