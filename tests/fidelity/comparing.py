"""Compares an answer with a captured one: the same keys, types and nulls, and on the simulator the same words."""

import re
from collections.abc import Iterator
from typing import Any

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")
OWN_TO_A_WORLD = frozenset(
    {
        *("sequence_id", "sort_order", "sequence", "epoch"),
        *("total_count", "total_results", "total_pages", "count", "total_members", "total_cycles", "total_modules"),
        *("email", "first_name", "display_name", "identifier", "name", "description", "logo_props", "completed_at"),
        *("external_id", "old_value", "new_value", "priority", "archived_at", "role", "slug"),
        *("module_view", "cycle_view", "intake_view", "parent"),
    }
)
"""Keys whose values tell of a world's people and past, not of the server."""


def masked(value: Any) -> Any:
    """The value with its ids and times replaced, as they are in the golden files."""
    if isinstance(value, str):
        return _TIME.sub("~time", _ID.sub("~id", value))
    if isinstance(value, list):
        return [masked(one) for one in value]
    return {key: masked(one) for key, one in value.items()} if isinstance(value, dict) else value


def differences(golden: Any, got: Any, *, is_strict: bool, where: str = "answer") -> Iterator[str]:
    """What the answer lacks or has too much; values count when `is_strict`."""
    if isinstance(golden, dict) and isinstance(got, dict):
        yield from _of_objects(golden, got, is_strict, where)
    elif isinstance(golden, list) and isinstance(got, list):
        if golden and not got:
            yield f"{where} is empty"
        for number, (one, other) in enumerate(_pairs(golden, got)):
            yield from differences(one, other, is_strict=is_strict, where=f"{where}[{number}]")
    elif _differ(golden, got, is_strict):
        yield f"{where} is {got!r}, not {golden!r}"


def _of_objects(golden: dict[str, Any], got: dict[str, Any], is_strict: bool, where: str) -> Iterator[str]:
    yield from (f"{where}.{key} is missing" for key in golden.keys() - got.keys())
    if is_strict:
        yield from (f"{where}.{key} is too much" for key in got.keys() - golden.keys())
    for key in golden.keys() & got.keys():
        counts = is_strict and key not in OWN_TO_A_WORLD
        yield from differences(golden[key], got[key], is_strict=counts, where=f"{where}.{key}")


def _pairs(golden: list[Any], got: list[Any]) -> list[tuple[Any, Any]]:
    """Rows that belong together: lines of a history by what they tell, everything else by its place."""
    if not (golden and isinstance(golden[0], dict) and "verb" in golden[0]):
        return list(zip(golden, got, strict=False))
    told = {(row["verb"], row["field"]): row for row in got}
    return [(row, told.get((row["verb"], row["field"]), "no such line")) for row in golden]


def _differ(golden: Any, got: Any, is_strict: bool) -> bool:
    """Whether the values do; 7 and 7.0 are two types, since a strict reader tells them apart."""
    if is_strict:
        return type(golden) is not type(got) or masked(got) != golden
    return None not in (golden, got) and type(golden) is not type(got)
