"""The configuration that `conveyor init` writes holds every key of every service, explained, with its default."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from conveyor.cli.app import build
from conveyor.cli.exits import Exit
from conveyor.cli.setup.fields import SETTINGS, Table, sections
from conveyor.cli.setup.sample import EXAMPLES, FREE, NAMES, value, written
from conveyor.servicekit.settings import SECTIONS, load

pytestmark = pytest.mark.behaviour("OP-4")
SECRETS = ("plane-api-key", "plane-webhook", "gitea-token", "gitea-webhook")


def invoke(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(build(), arguments)
    return done.exit_code, done.output


def tables(found: tuple[Table, ...]) -> list[Table]:
    """These tables and those inside them."""
    return [one for table in found for one in (table, *tables(table.tables))]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A file as `init` writes it, its secrets in place."""
    (tmp_path / "secrets").mkdir()
    for name in SECRETS:
        (tmp_path / "secrets" / name).write_text(f"the {name}\n")
    path = tmp_path / "conveyor.toml"
    code, told = invoke("init", str(path))
    assert code == Exit.OK, told
    assert "conveyor --config" in told
    return path


def without(settings: Any, *dropped: str) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in type(settings).__struct_fields__ if name not in dropped}


@pytest.mark.parametrize("kind", SETTINGS, ids=lambda kind: kind.__module__)
def test_the_file_is_good_for_every_service(config: Path, kind: type[msgspec.Struct]) -> None:
    load(kind, config, environment={})


def test_it_is_checked_without_asking_anybody(config: Path) -> None:
    code, told = invoke("config", "check", str(config))
    assert (code, told) == (Exit.OK, f"{config}: good for every service; projects: shop\n")


@pytest.mark.parametrize("kind", SETTINGS, ids=lambda kind: kind.__module__)
def test_every_commented_key_is_the_default(config: Path, kind: type[msgspec.Struct]) -> None:
    """With all keys uncommented nothing changes: each is known, and set to what holds without it."""
    as_it_is = load(kind, config, environment={})
    text = "\n".join(line for line in config.read_text().splitlines() if not re.match(r"#\S+_file = ", line))
    config.write_text(re.sub(r"(?m)^#(?=\S)", "", text))
    uncommented = load(kind, config, environment={})
    assert without(uncommented, "pipelines") == without(as_it_is, "pipelines")


def test_every_key_of_every_section_stands_in_it_explained(config: Path) -> None:
    text = config.read_text()
    found = tables(sections())
    assert {table.path for table in found} >= set(SECTIONS) - {"demo"}
    for table in found:
        for key in table.keys:
            assert key.about, f"{table.path}.{key.name} has no docstring below its field"
            name = f"{key.name.removesuffix('s') if isinstance(key.default, tuple) else key.name}_file"
            assert re.search(rf"(?m)^#?{name if key.is_secret else key.name} =", text), f"{table.path}.{key.name}"
    assert not re.search(r"[A-Z]{2}-\d", text.replace("SHOP-12", "")), "rows of a table that who configures never saw"


def test_what_stands_in_examples_exists() -> None:
    keys = {f"{table.path}.{key.name}" for table in tables(sections()) for key in table.keys}
    assert set(EXAMPLES) <= keys
    assert set(FREE) == {table.path for table in sections() if table.shape == "free"}
    assert set(NAMES) == {table.path for table in sections() if table.shape == "named"}


def test_values_are_written_as_toml_reads_them() -> None:
    shown = [value(one) for one in ("a\\b", True, 1.5, (), ("a", "b"), {}, {"A": "1"})]
    assert shown == ['"a\\\\b"', "true", "1.5", "[]", '["a", "b"]', "{}", '{ A = "1" }']


def test_nothing_is_overwritten(config: Path) -> None:
    before = config.read_text()
    for place in (config, config.parent):
        code, told = invoke("init", str(place))
        assert code == Exit.USAGE
        assert "stays as it is" in told
    assert config.read_text() == before == written(sections())


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    code, told = invoke("init", str(tmp_path / "nowhere" / "conveyor.toml"))
    assert code == Exit.USAGE
    assert "No such file" in told


@pytest.mark.parametrize(
    "wrong", ["http://plane:port", "plane.example.org", "http://[plane", "https://", "ftp://plane.test"]
)
def test_an_address_that_is_none_is_told(wrong: str, config: Path) -> None:
    config.write_text(re.sub(r'(?m)^url = "https://plane.*"$', f'url = "{wrong}"', config.read_text()))
    code, told = invoke("config", "check", str(config))
    assert code == Exit.USAGE
    assert f"plane.url: {wrong}: " in told
    code, told = invoke("--config", str(config), "setup", "webhooks", "--url", wrong)
    assert (code, wrong in told) == (Exit.USAGE, True)


def test_all_that_is_wrong_is_told_at_once(config: Path) -> None:
    text = config.read_text().replace("[agents.claude", "[agents.other").replace('"shop"', '"shop"\npipeline = "no"')
    config.write_text(text.replace("#interval_s = 120.0", 'interval_s = "soon"'))
    code, told = invoke("config", "check", str(config))
    assert code == Exit.USAGE
    assert "interval_s" in told
    assert "no pipeline 'no'" in told
    config.write_text(text.replace('pipeline = "no"', ""))
    code, told = invoke("--config", str(config), "config", "check", "--json")
    assert code == Exit.USAGE
    assert "agent 'claude'; configured: other" in told
