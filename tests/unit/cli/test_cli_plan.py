"""What `conveyor up` would run, from the configuration alone."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from conveyor.cli.up.plan import plan
from conveyor.cli.up.ports import Ports
from conveyor.cli.up.tree import LOOP_DEATHS, LOOP_WINDOW_S, Deaths
from conveyor.contracts.errors import SettingsError
from conveyor.runner.settings import HOMECOMING_S, RunnerSettings
from conveyor.servicekit.lifecycle import ABORT_S, GRACE_S


@pytest.fixture
def ports() -> Iterator[Ports]:
    with Ports() as held:
        yield held


def written(folder: Path, text: str) -> Path:
    config = folder / "conveyor.toml"
    config.write_text(text)
    return config


def test_ports_left_open_are_chosen_and_told_to_each_service(tmp_path: Path, ports: Ports) -> None:
    planned = plan(
        written(tmp_path, '[nats]\nurl = "nats://127.0.0.1:0"\n[gateway]\nport = 0\n'), ports, is_pretty=False
    )
    assert [member.name for member in planned.members] == ["gateway", "stage-engine", "runner", "reconciler"]
    assert len({member.url for member in planned.members}) == 4
    for member in planned.members:
        assert member.environment["CONVEYOR_NATS__URL"] == f"nats://127.0.0.1:{planned.nats_port}"
        assert member.url.rpartition(":")[2] in member.environment.values()
    assert planned.nats_dir == tmp_path / ".conveyor/nats"


def test_each_service_may_drain_as_long_as_it_gives_itself(tmp_path: Path, ports: Ports) -> None:
    """A runner that lets its runs end for ten minutes must not be killed after one."""
    by_default = plan(written(tmp_path, "[gateway]\nport = 0\n"), ports, is_pretty=False)
    patient = plan(written(tmp_path, "[gateway]\nport = 0\n[runner]\ndrain_s = 600\n"), ports, is_pretty=False)
    graces_s = {member.name: member.grace_s for member in patient.members}
    assert graces_s["runner"] > 600 + HOMECOMING_S + ABORT_S
    assert by_default.members[2].grace_s > RunnerSettings().drain_s + HOMECOMING_S + ABORT_S
    assert all(graces_s[name] > GRACE_S + ABORT_S for name in ("gateway", "stage-engine", "reconciler"))


def test_a_server_that_is_not_ours_is_left_alone(tmp_path: Path, ports: Ports) -> None:
    config = written(tmp_path, '[nats]\nurl = "nats://bus.example:4222"\nembedded = false\n[gateway]\nport = 18080\n')
    planned = plan(config, ports, is_pretty=True)
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
def test_a_configuration_that_cannot_run_is_refused_with_its_place(
    tmp_path: Path, ports: Ports, text: str, names: str
) -> None:
    with pytest.raises(SettingsError, match=names):
        plan(written(tmp_path, text), ports, is_pretty=False)


def test_a_missing_configuration_is_named(tmp_path: Path, ports: Ports) -> None:
    with pytest.raises(SettingsError, match="nowhere"):
        plan(tmp_path / "nowhere.toml", ports, is_pretty=False)


async def test_a_held_port_is_left_to_whom_it_was_chosen_for(ports: Ports) -> None:
    """The kernel gives it to no other, and a server that reuses addresses may listen on it."""
    held = ports.free("127.0.0.1")
    with Ports() as others:
        assert held not in {others.free("127.0.0.1") for _ in range(200)}
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", held)
    server.close()
    await server.wait_closed()


def test_deaths_long_ago_are_forgotten() -> None:
    deaths = Deaths()
    assert [deaths.add(second) for second in range(LOOP_DEATHS)] == [1, 2, 3, 4, 5]
    assert deaths.add(LOOP_WINDOW_S * 3) == 1
