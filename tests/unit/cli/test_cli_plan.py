"""What `conveyor up` would run, from the configuration alone."""

from pathlib import Path

import pytest

from conveyor.cli.up.plan import plan
from conveyor.cli.up.tree import LOOP_DEATHS, LOOP_WINDOW_S, Deaths
from conveyor.contracts.errors import SettingsError


def written(folder: Path, text: str) -> Path:
    config = folder / "conveyor.toml"
    config.write_text(text)
    return config


def test_ports_left_open_are_chosen_and_told_to_each_service(tmp_path: Path) -> None:
    planned = plan(written(tmp_path, '[nats]\nurl = "nats://127.0.0.1:0"\n[gateway]\nport = 0\n'), is_pretty=False)
    assert [member.name for member in planned.members] == ["gateway", "stage-engine", "runner", "reconciler"]
    assert len({member.url for member in planned.members}) == 4
    for member in planned.members:
        assert member.environment["CONVEYOR_NATS__URL"] == f"nats://127.0.0.1:{planned.nats_port}"
        assert member.url.rpartition(":")[2] in member.environment.values()
    assert planned.nats_dir == tmp_path / ".conveyor/nats"


def test_a_server_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    config = written(tmp_path, '[nats]\nurl = "nats://bus.example:4222"\nembedded = false\n[gateway]\nport = 18080\n')
    planned = plan(config, is_pretty=True)
    gateway = planned.members[0]
    assert not planned.nats.embedded
    assert gateway.url == "http://127.0.0.1:18080"
    assert gateway.environment["CONVEYOR_NATS__URL"] == "nats://bus.example:4222"
    assert gateway.environment["CONVEYOR_LOG__FORMAT"] == "pretty"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('[nats]\nurl = "nats://bus.example:4222"\n', "nats.embedded"),
        ("[nats]\nport = 4222\n", "nats.port"),
        ("[nuts]\n", "nuts"),
    ],
)
def test_a_configuration_that_cannot_run_is_refused_with_its_place(tmp_path: Path, text: str, names: str) -> None:
    with pytest.raises(SettingsError, match=names):
        plan(written(tmp_path, text), is_pretty=False)


def test_a_missing_configuration_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nowhere"):
        plan(tmp_path / "nowhere.toml", is_pretty=False)


def test_deaths_long_ago_are_forgotten() -> None:
    deaths = Deaths()
    assert [deaths.add(second) for second in range(LOOP_DEATHS)] == [1, 2, 3, 4, 5]
    assert deaths.add(LOOP_WINDOW_S * 3) == 1
