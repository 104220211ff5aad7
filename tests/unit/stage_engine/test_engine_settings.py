"""A setting under which the engine would silently do nothing, or too much, refuses to start it."""

from pathlib import Path

import pytest

from conveyor.contracts.errors import SettingsError
from conveyor.contracts.pipelines import default_pipeline
from conveyor.contracts.project import Project
from conveyor.servicekit.settings import load
from conveyor.stage_engine.projects import Projects
from conveyor.stage_engine.settings import Settings, check_engine

CONFIGURATION = """
[plane]
[gitea]
[[project]]
name = "shop"
tracker_project_id = "p-1"
identifier = "SHOP"
repository = "acme/shop"
"""


def settings(tmp_path: Path, more: str = "", **environment: str) -> Settings:
    path = tmp_path / "conveyor.toml"
    path.write_text(CONFIGURATION + more)
    return load(Settings, path, environment=environment)


def test_the_smallest_configuration_is_read(tmp_path: Path) -> None:
    assert settings(tmp_path).engine.loops == ("decide", "relay", "gates", "effects")


@pytest.mark.parametrize(("text", "loops"), [("relay", ("relay",)), ("gates,effects", ("gates", "effects"))])
def test_a_variable_names_one_loop_or_several(tmp_path: Path, text: str, loops: tuple[str, ...]) -> None:
    assert settings(tmp_path, CONVEYOR_ENGINE__LOOPS=text).engine.loops == loops


def test_without_addresses_and_keys_it_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"plane\.url, .*plane\.api_key, .*gitea\.token: missing"):
        check_engine(settings(tmp_path))


@pytest.mark.parametrize(
    "line",
    [
        'loops = ["decides"]',
        "tasks_at_once = 0",
        "gates_at_once = 0",
        "effects_at_once = -1",
        "ack_wait_s = 0",
        "lease_ttl_s = 0",
        "merge_poll_s = 0",
        "merge_deadline_s = -1",
        "health_interval_s = 0",
        "health_threshold = 0",
        "keep_ended_days = 30",
    ],
)
def test_a_number_that_makes_no_sense_is_refused_by_its_path(tmp_path: Path, line: str) -> None:
    with pytest.raises(SettingsError, match=rf"engine\.{line.split(maxsplit=1)[0]}"):
        settings(tmp_path, f"[engine]\n{line}\n")


def test_a_number_of_copies_that_no_cluster_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nats\.replicas"):
        settings(tmp_path, "[nats]\nreplicas = 2\n")


@pytest.mark.parametrize("field", ["name", "identifier", "tracker_project_id"])
def test_two_projects_that_cannot_be_told_apart_are_refused(field: str) -> None:
    shop = {"name": "shop", "tracker_project_id": "p-1", "identifier": "SHOP", "repository": "acme/shop"}
    cafe = {"name": "cafe", "tracker_project_id": "p-2", "identifier": "CAFE", "repository": "acme/shop"}
    pipelines = {"default": default_pipeline()}
    assert Projects((Project(**shop), Project(**cafe)), pipelines)
    with pytest.raises(SettingsError, match=f"is the {field} of two"):
        Projects((Project(**shop), Project(**cafe | {field: shop[field]})), pipelines)
