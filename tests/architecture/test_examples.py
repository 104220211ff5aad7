"""The examples in deploy/ say what the settings say today, and every line of them is taken as it stands."""

import re
from pathlib import Path

import pytest
from msgspec import Struct

from conveyor.cli.setup.fields import SETTINGS, Table, sections
from conveyor.servicekit.settings import load
from tests.architecture import repository
from tools.examples import EXAMPLES

ENVIRONMENT = repository.ROOT / "deploy" / "env.example"
REQUIRED = """
[plane]
[gitea]
[[project]]
name = "shop"
tracker_project_id = "1"
identifier = "SHOP"
repository = "acme/shop"
[agents.claude]
"""
"""What no variable can set and some service will not start without."""


def tables(found: tuple[Table, ...]) -> list[Table]:
    """These tables and those inside them."""
    return [one for table in found for one in (table, *tables(table.tables))]


def variables() -> dict[str, str]:
    """Every variable of the example, by name."""
    return dict(re.findall(r"(?m)^#(CONVEYOR_\w+)=(.*)$", ENVIRONMENT.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_committed_example_is_what_the_settings_make_now(path: Path) -> None:
    now = EXAMPLES[path](sections())
    assert path.read_text(encoding="utf-8") == now, "run `make examples` and commit what it writes"


def test_every_field_says_what_it_is() -> None:
    """A docstring below each field: without one nobody who configures can know its meaning and unit."""
    repository.none(
        f"{table.path}.{key.name}: no docstring below the field"
        for table in tables(sections())
        for key in table.keys
        if not key.about
    )
    repository.none(f"[{table.path}]: no docstring" for table in tables(sections()) if not table.about + table.path)


def test_every_key_has_its_variable() -> None:
    found = variables()
    named = {"CONVEYOR_" + name.replace(".", "__").upper() for name in settable()}
    assert named == set(found) - {f"{name}_FILE" for name in named} - {"CONVEYOR_PIPELINES__SHOP"}
    secrets = [name for name in named if re.search(r"(API_KEY|SECRET|TOKEN|PASSWORD|SEED|WEBHOOK_URL)$", name)]
    assert secrets
    assert {f"{name}_FILE" for name in secrets} <= set(found)


def settable() -> set[str]:
    """The path of every key that a variable can set; of several secrets the single one."""
    return {
        f"{table.path}.{key.name.removesuffix('s') if key.is_secret and isinstance(key.default, tuple) else key.name}"
        for top in sections()
        if top.shape == "one"
        for table in tables((top,))
        for key in table.keys
    }


@pytest.mark.parametrize("kind", SETTINGS, ids=lambda kind: kind.__module__)
def test_every_variable_of_the_example_is_taken_and_is_the_default(tmp_path: Path, kind: type[Struct]) -> None:
    config = tmp_path / "conveyor.toml"
    config.write_text(REQUIRED)
    given = {name: text for name, text in variables().items() if not name.endswith("_FILE") and "PIPELINES" not in name}
    secrets = {name for name in given if f"{name}_FILE" in variables()}
    plain = {name: text for name, text in given.items() if name not in secrets}
    assert load(kind, config, environment=plain) == load(kind, config, environment={})


@pytest.mark.parametrize("kind", SETTINGS, ids=lambda kind: kind.__module__)
def test_every_secret_of_the_example_is_read_from_its_file(tmp_path: Path, kind: type[Struct]) -> None:
    config = tmp_path / "conveyor.toml"
    config.write_text(REQUIRED)
    given = {}
    for name, file in variables().items():
        if name.endswith("_FILE"):
            given[name] = str(tmp_path / Path(file).name)
            Path(given[name]).write_text("from a file\n")
    assert given
    load(kind, config, environment=given)
