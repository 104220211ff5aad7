"""The example of an environment file: every key that a variable can set, named, explained, at its default.

Pure: from what `fields` found to the text of `deploy/env.example`.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import NODEFAULT

from conveyor.cli.setup.fields import Key, Table
from conveyor.cli.setup.sample import EXAMPLES, FREE, prose, value

HEAD = """\
# Every setting as a variable of the environment; made by `make examples` from the settings themselves.
#
# A variable outranks the configuration file; each service takes those of its own sections. All are comments here,
# set to what holds without them; the unit is the end of a name: _S is seconds, _MB megabytes, _USD US dollars.
# A name that is not known refuses to start. Lists are separated by commas, tables are JSON.
#
# A secret stands in a file named by <KEY>_FILE, an absolute path or one relative to the configuration file, or in the
# variable itself, which is easier to spill: use one of the two. Several webhook secrets go, the newest first and one a
# line, into the file of <KEY>S_FILE, such as CONVEYOR_PLANE__WEBHOOK_SECRETS_FILE.
#
# [[project]] and [agents.<name>] are set in the configuration file alone; `conveyor init` writes one with every key.
"""
IN_FILE_ONLY = frozenset({"many", "named"})
"""Sections of several tables: no variable names one of them."""
SECRETS_DIR = "/run/secrets"


def written(sections: Iterable[Table]) -> str:
    """Return the text of an environment file with every variable, all of them comments."""
    return HEAD + "".join(f"{line}\n" for table in sections for line in _of_table(table))


def _of_table(table: Table) -> Iterator[str]:
    if table.shape in IN_FILE_ONLY:
        return
    yield ""
    if table.shape == "free":
        yield from prose(FREE[table.path][0])
        yield f"#{_variable(table.path, 'shop')}=pipelines/shop.toml"
        return
    yield from prose(table.about)
    for key in table.keys:
        yield from _of_key(table.path, key)
    for inner in table.tables:
        yield from _of_table(inner)


def _of_key(path: str, key: Key) -> Iterator[str]:
    yield ""
    choices = f"One of: {', '.join(key.choices)}." if key.choices else ""
    yield from prose(f"{key.about} {choices}".strip())
    if key.is_secret:
        name = key.name.removesuffix("s") if isinstance(key.default, tuple) else key.name
        file = EXAMPLES.get(f"{path}.{key.name}", f"secrets/{path.replace('.', '-')}-{name.replace('_', '-')}")
        yield f"#{_variable(path, name)}_FILE={SECRETS_DIR}/{file.removeprefix('secrets/')}"
        yield f"#{_variable(path, name)}="
    else:
        yield f"#{_variable(path, key.name)}={_text(key.default)}"


def _variable(path: str, name: str) -> str:
    return "CONVEYOR_" + "__".join((*path.split("."), name)).upper()


def _text(default: Any) -> str:
    if default is NODEFAULT:
        return ""
    if isinstance(default, str):
        return default
    return ",".join(default) if isinstance(default, tuple) else value(default)
