"""Captured deliveries, and the ways hypothesis spoils them: wrong values, missing fields, cut and flipped bytes."""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from msgspec import Struct

GOLDEN = Path(__file__).parent / "golden"
NASTY: tuple[Any, ...] = (
    *(None, True, "", "x", "\0", "é", "a.b", "a b", "*", ">", "x" * 300, "refs/heads/", "refs/pull/1/head"),
    *(-1, 0, 2**31, 2**53, 2**64, 2**70, 1.5, -0.0, 1e300),
    *("2026-01-01T00:00:00", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"),
    *([], {}, [[]], [None], {"id": None}, ["x"], "feature/SHOP-1-x", "feature/SHOP-0", "<p>" * 100, "&#0;&#x110000;"),
)
"""Values that have broken readers of JSON before."""


class Capture(Struct, frozen=True):
    """One captured delivery."""

    source: str
    name: str
    headers: dict[str, str]
    body: bytes


def captures() -> list[Capture]:
    """Return every captured delivery; branches and projects are renamed to those of the fuzzed gateway."""
    return [_capture(path) for path in sorted((*GOLDEN.glob("plane/*.json"), *GOLDEN.glob("gitea/*.json")))]


def _capture(path: Path) -> Capture:
    found = json.loads(path.read_text(encoding="utf-8"))
    body = found["body"].replace("9e8e905c-3731-480a-a165-a731e7e1b94b", "p1").replace("orch/demo", "acme/shop")
    body = body.replace("agent/task-1", "feature/SHOP-1-task").replace("agent/empty", "feature/SHOP-2-empty")
    return Capture(
        path.parent.name, path.stem, {name: str(value) for name, value in found["headers"].items()}, body.encode()
    )


def spoiled_once(capture: Capture) -> Iterator[Capture]:
    """Yield the capture with every nasty value in every place, one at a time, and with every place missing."""
    body = json.loads(capture.body)
    for holder, key in list(_places(body)):
        if isinstance(holder, list):
            continue
        kept = holder.pop(key)
        yield Capture(capture.source, capture.name, capture.headers, json.dumps(body).encode())
        for value in NASTY:
            holder[key] = value
            yield Capture(capture.source, capture.name, capture.headers, json.dumps(body).encode())
        holder[key] = kept


@st.composite
def deliveries(draw: st.DrawFn) -> Capture:
    """A captured delivery with something wrong in it, often somewhere that matters."""
    capture = draw(st.sampled_from(captures()))
    body = json.loads(capture.body)
    for _ in range(draw(st.integers(1, 3))):
        _spoil(draw, body)
    content = json.dumps(body).encode()
    if draw(st.integers(0, 9)) == 0:
        content = _cut(draw, content)
    return Capture(capture.source, capture.name, capture.headers, content)


def _spoil(draw: st.DrawFn, body: Any) -> None:
    places = list(_places(body))
    if not places:
        return
    holder, key = draw(st.sampled_from(places))
    if draw(st.integers(0, 4)) == 0:
        del holder[key]
    else:
        wrong = st.sampled_from(NASTY).map(deepcopy) | st.text(max_size=20) | st.integers() | st.datetimes().map(str)
        holder[key] = draw(wrong)


def _places(value: Any, depth: int = 0) -> Iterator[tuple[Any, Any]]:
    """Yield every place of a JSON value as its holder and its key; the deeper, the less it matters."""
    if depth > 3:
        return
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from _places(inner, depth + 1)


def _cut(draw: st.DrawFn, content: bytes) -> bytes:
    place = draw(st.integers(0, len(content) - 1))
    if draw(st.booleans()):
        return content[:place]
    return content[:place] + bytes([content[place] ^ draw(st.integers(1, 255))]) + content[place + 1 :]
