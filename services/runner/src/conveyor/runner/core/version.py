"""Versions as programs print them, compared by their numbers."""

import re

_NUMBERS = re.compile(r"\d+(?:\.\d+)+")


def numbers(text: str) -> tuple[int, ...]:
    """Return the first version in a text, `2.1.328 (Claude Code)` -> (2, 1, 328); empty when there is none."""
    found = _NUMBERS.search(text)
    return tuple(int(part) for part in found.group().split(".")) if found else ()


def is_older(text: str, least: str) -> bool:
    """Whether a program says a version below the least one; one that says none does not count as old."""
    found = numbers(text)
    return bool(found) and found < numbers(least)
