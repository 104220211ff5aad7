"""Plane's pages: offset paging under a cursor's name, ordering by model fields, and a choice of fields. Pure."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from conveyor.simulator.plane.refusals import RefusalError, crashed, detail
from conveyor.simulator.plane.shapes import Json
from conveyor.simulator.plane.world import PRIORITIES, STATE_GROUPS, World

MAX_PER_PAGE = 1000


def page(rows: list[Json], query: Mapping[str, str]) -> Json:
    """One page of rows in Plane's envelope; beyond the end it is empty, and `next_cursor` is always a string.

    Raises:
        RefusalError: per_page or cursor cannot be used; per_page=0 breaks the server as it does the real one.
    """
    per_page = _per_page(query.get("per_page"))
    size, number = _cursor(query.get("cursor") or f"{per_page}:0:0")
    chosen = rows[number * size : (number + 1) * size]
    more = len(rows) > (number + 1) * size
    return {
        "grouped_by": None,
        "sub_grouped_by": None,
        "total_count": len(rows),
        "next_cursor": f"{per_page}:{number + 1}:0",
        "prev_cursor": f"{per_page}:{number - 1}:1",
        "next_page_results": more,
        "prev_page_results": number > 0,
        "count": len(chosen),
        "total_pages": math.ceil(len(rows) / per_page),
        "total_results": len(rows),
        "extra_stats": None,
        "results": [chosen_fields(row, query) for row in chosen],
    }


def chosen_fields(row: Json, query: Mapping[str, str]) -> Json:
    """The row cut down to `fields`, which are ignored when unknown; the whole row without it."""
    wanted = names(query, "fields")
    return {key: value for key, value in row.items() if key in wanted} if wanted else row


def names(query: Mapping[str, str], parameter: str) -> set[str]:
    """The comma-separated names in a query parameter."""
    return {name for name in query.get(parameter, "").split(",") if name}


def ordered(rows: list[Json], order_by: str, world: World) -> list[Json]:
    """Issue rows in the order asked for; nulls last, or first when reversed, as the database has it.

    Raises:
        RefusalError: 500 for a field that the model does not have.
    """
    name = order_by.removeprefix("-")
    key = _state_key(name, world) or _key(name, rows)
    return sorted(rows, key=key, reverse=order_by.startswith("-"))


def _key(name: str, rows: list[Json]) -> Callable[[Json], Any]:
    if rows and name not in rows[0]:
        raise crashed()
    if name == "priority":
        return lambda row: PRIORITIES.index(row["priority"])
    return lambda row: (row[name] is None, row[name])


def _state_key(name: str, world: World) -> Callable[[Json], Any] | None:
    if name == "state__group":
        return lambda row: STATE_GROUPS.index(world.states[row["state"]].group)
    if name == "state__name":
        return lambda row: world.states[row["state"]].name
    return None


def _per_page(text: str | None) -> int:
    try:
        per_page = int(text) if text is not None else MAX_PER_PAGE
    except ValueError as error:
        raise detail(400, "Invalid per_page parameter.") from error
    if per_page > MAX_PER_PAGE:
        raise detail(400, f"Invalid per_page value. Cannot exceed {MAX_PER_PAGE}.")
    if per_page <= 0:
        raise crashed()
    return per_page


def _cursor(text: str) -> tuple[int, int]:
    try:
        size, number, _previous = (int(part) for part in text.split(":"))
    except ValueError as error:
        raise detail(400, "Invalid cursor parameter.") from error
    if size <= 0 or number < 0:
        raise RefusalError(400, {"detail": "Error in parsing"})
    return size, number
