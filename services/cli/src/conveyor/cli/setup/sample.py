"""The configuration that `conveyor init` writes: what must be set stands there with an example, the rest as comments.

Pure: from what `fields` found to the text of a file.
"""

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import NODEFAULT

from conveyor.cli.setup.fields import Key, Table

HEAD = """\
# Conveyor's configuration, written by `conveyor init`. What needs your own values stands uncommented with an example.
# Every other key is a line without a space after its `#`, set to what holds without it; the unit is the end of its
# name: _s is seconds, _mb megabytes, _usd US dollars. A key that is not known refuses to start.
#
# A secret stays out of this file: <key>_file names a file that holds it, relative to this one; or set the variable
# CONVEYOR_<SECTION>__<KEY>, which outranks this file for any key.
#
# Next: conveyor config check, then conveyor setup webhooks, conveyor doctor and conveyor up.
"""
EXAMPLES: Mapping[str, Any] = {
    "plane.url": "https://plane.example.org",
    "plane.workspace": "acme",
    "plane.api_key": "secrets/plane-api-key",
    "plane.webhook_secrets": "secrets/plane-webhook",
    "gitea.url": "https://git.example.org",
    "gitea.token": "secrets/gitea-token",
    "gitea.webhook_secrets": "secrets/gitea-webhook",
    "project.name": "shop",
    "project.tracker_project_id": "00000000-0000-0000-0000-000000000000",
    "project.identifier": "SHOP",
    "project.repository": "acme/shop",
    "gateway.public_url": "https://conveyor.example.org",
    "agents.command": (
        *("claude", "-p", "--output-format", "stream-json", "--verbose"),
        *("--permission-mode", "acceptEdits"),
    ),
    "agents.resume": ("--resume", "{session_id}"),
    "agents.output": "claude-stream-json",
    "agents.version": ("claude", "--version"),
    "agents.pass_env": ("ANTHROPIC_API_KEY",),
}
"""What stands uncommented; of secrets the file that holds them."""
FREE = {
    "pipelines": (
        "Pipelines of your own: a name and the TOML file that holds it. `conveyor pipeline graph` shows the default.",
        '#shop = "pipelines/shop.toml"',
    )
}
"""Sections whose keys are one's own: what they hold, and an example."""
NAMES = {"agents": "claude"}
"""The name in the example of a section of named tables: the agent that the pipeline that ships asks for."""
_WIDTH = 110
_ROW = re.compile(r" \([A-Z]{2}-\d+\)")
"""A row of the behaviour table, which says nothing to who configures."""


def written(sections: Iterable[Table]) -> str:
    """Return the text of a configuration file with every section and key."""
    return HEAD + "".join(f"{line}\n" for table in sections for line in _of_table(table))


def value(of: Any) -> str:
    """Return a value as TOML writes it."""
    if isinstance(of, Mapping):
        return "{ " + ", ".join(f"{name} = {value(one)}" for name, one in of.items()) + " }" if of else "{}"
    if isinstance(of, tuple | list):
        return "[" + ", ".join(value(one) for one in of) + "]"
    return msgspec.json.encode(of).decode()


def _of_table(table: Table, inside: str = "") -> Iterator[str]:
    yield ""
    if table.shape == "free":
        about, example = FREE[table.path]
        yield from prose(about)
        yield f"[{table.path}]"
        yield example
        return
    yield from prose(table.about)
    path = inside or table.path
    path = f"{path}.{NAMES[path]}" if table.shape == "named" else path
    yield f"[[{path}]]" if table.shape == "many" else f"[{path}]"
    for key in table.keys:
        yield from _of_key(table.path, key)
    for inner in table.tables:
        yield from _of_table(inner, path + inner.path.removeprefix(table.path))


def _of_key(path: str, key: Key) -> Iterator[str]:
    choices = f"One of: {', '.join(key.choices)}." if key.choices else ""
    yield from prose(f"{key.about} {choices}".strip())
    example = EXAMPLES.get(f"{path}.{key.name}")
    if key.is_secret:
        single = key.name.removesuffix("s") if isinstance(key.default, tuple) else key.name
        file = example or f"secrets/{path.replace('.', '-')}-{single.replace('_', '-')}"
        yield f"{'' if example else '#'}{single}_file = {value(file)}"
    elif example is not None:
        yield f"{key.name} = {value(example)}"
    elif key.default is NODEFAULT:
        yield f"#{key.name} ="
    else:
        yield f"#{key.name} = {value(key.default)}"


def prose(text: str) -> Iterator[str]:
    """Yield a text as comments, its paragraphs wrapped."""
    for paragraph in _ROW.sub("", text).split("\n"):
        yield from (f"# {line}" for line in textwrap.wrap(paragraph, _WIDTH, break_on_hyphens=False))
