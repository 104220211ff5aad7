"""A value that must never be printed: settings hold secrets in it, logs mask them by it."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

MASK = "***"


class Secret:
    """Text that shows as `***` wherever it is printed; `reveal()` is the one way to it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself; hand it to the wire and to nothing else."""
        return self._text

    def __str__(self) -> str:
        return MASK

    __repr__ = __str__

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a secret is not written anywhere")


def secrets_in(value: object) -> Iterator[str]:
    """Yield the text of every secret inside nested Structs, mappings and sequences."""
    if isinstance(value, Secret):
        if value:
            yield value.reveal()
        return
    inner: Iterable[object] = ()
    if isinstance(value, msgspec.Struct):
        inner = msgspec.structs.astuple(value)
    elif isinstance(value, dict):
        inner = value.values()
    elif isinstance(value, (list, tuple)):
        inner = value
    for item in inner:
        yield from secrets_in(item)
