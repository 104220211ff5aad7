from pathlib import Path

import pytest
from msgspec import Struct

from conveyor.contracts.errors import SettingsError
from conveyor.contracts.project import Project
from conveyor.servicekit.secret import Secret, secrets_in
from conveyor.servicekit.sections import GiteaSettings, LogSettings, NatsSettings, PlaneSettings, Section, pipelines_of
from conveyor.servicekit.settings import load


class Agent(Section, frozen=True, kw_only=True):
    command: str
    token: Secret = Secret("")


class Settings(Struct, frozen=True, kw_only=True):
    nats: NatsSettings = NatsSettings()
    log: LogSettings = LogSettings()
    plane: PlaneSettings = PlaneSettings()
    gitea: GiteaSettings = GiteaSettings()
    project: tuple[Project, ...] = ()
    pipelines: dict[str, str] = {}
    agents: dict[str, Agent] = {}


def written(folder: Path, text: str) -> Path:
    path = folder / "conveyor.toml"
    path.write_text(text)
    return path


def loaded(folder: Path, text: str, environment: dict[str, str] | None = None) -> Settings:
    return load(Settings, written(folder, text), environment=environment or {})


FULL = """
[nats]
url = "nats://example:4222"
replicas = 3

[plane]
url = "https://plane.example"
workspace = "acme"
api_key = "plane-key"
webhook_secret = "one"

[[project]]
name = "shop"
tracker_project_id = "id"
identifier = "SHOP"
repository = "acme/shop"

[agents.claude]
command = "claude"
token_file = "token.txt"

[runner]
slots = 3
"""


def test_one_file_serves_all_services_and_each_reads_its_own_sections(tmp_path: Path) -> None:
    (tmp_path / "token.txt").write_text("agent-token\n")
    settings = loaded(tmp_path, FULL)
    assert settings.nats.replicas == 3
    assert settings.project[0].repository == "acme/shop"
    assert settings.plane.api_key.reveal() == "plane-key"
    assert [secret.reveal() for secret in settings.plane.webhook_secrets] == ["one"]
    assert settings.agents["claude"].token.reveal() == "agent-token"


def test_no_file_at_all_gives_the_defaults() -> None:
    assert load(Settings, None, environment={}).nats.url == "nats://127.0.0.1:4222"


def test_environment_outranks_the_file_and_takes_the_type_of_its_field(tmp_path: Path) -> None:
    (tmp_path / "token.txt").write_text("x")
    settings = loaded(
        tmp_path,
        FULL,
        {
            "CONVEYOR_NATS__REPLICAS": "1",
            "CONVEYOR_PLANE__API_KEY": "1234567",
            "CONVEYOR_PLANE__WEBHOOK_SECRETS": "old,new",
            "CONVEYOR_GITEA__TOKEN": "gitea-token",
            "CONVEYOR_AGENTS__CLAUDE__COMMAND": "claude-next",
            "CONVEYOR_RUNNER__SLOTS": "9",
            "CONVEYOR_ROLE": "not a setting",
        },
    )
    assert settings.nats.replicas == 1
    assert settings.plane.api_key.reveal() == "1234567"
    assert [secret.reveal() for secret in settings.plane.webhook_secrets] == ["one", "old", "new"]
    assert settings.gitea.token.reveal() == "gitea-token"
    assert settings.agents["claude"].command == "claude-next"


@pytest.mark.parametrize(
    ("text", "place", "expectation"),
    [
        ("[nats]\nurll = 'x'", "nats.urll", "unknown key; known: url, replicas"),
        ("[nats]\nreplicas = 'three'", "nats.replicas", "Expected `int`, got `str`"),
        ("[log]\nformat = 'xml'", "log.format", "Invalid enum value 'xml'"),
        ("[natz]\nurl = 'x'", "natz", "unknown section"),
        ("[[project]]\nname = 'shop'", "project[0].", "missing"),
        ("[plane]\napi_key = 5", "plane.api_key", "Expected `str`, got `int`"),
        ("[plane]\napi_key_file = 'nowhere.txt'", "plane.api_key_file", "cannot read nowhere.txt"),
        ("[agents.claude]\ncommand = 'x'\ncolour = 1", "agents[...].colour", "unknown key; known: command, token"),
        ("[nats\n", "", "not TOML"),
    ],
)
def test_a_mistake_names_file_path_and_expectation(tmp_path: Path, text: str, place: str, expectation: str) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, text)
    told = str(caught.value)
    assert told.startswith(str(tmp_path / "conveyor.toml"))
    assert place in told
    assert expectation in told


@pytest.mark.parametrize(
    ("variable", "value", "expectation"),
    [
        ("CONVEYOR_NATS__REPLICAS", "three", "Expected `int`"),
        ("CONVEYOR_NATZ__URL", "x", "there is no section 'natz'"),
        ("CONVEYOR_NATS__URLL", "x", "nats.urll: unknown key"),
    ],
)
def test_a_mistake_in_a_variable_is_named(tmp_path: Path, variable: str, value: str, expectation: str) -> None:
    with pytest.raises(SettingsError, match=expectation):
        loaded(tmp_path, "", {variable: value})


@pytest.mark.parametrize(
    ("text", "pools"),
    [("gpu", ("gpu",)), ("gpu, large", ("gpu", "large")), ('["gpu"]', ("gpu",)), ("", ())],
)
def test_a_list_is_given_by_a_variable_with_commas_or_as_json(text: str, pools: tuple[str, ...]) -> None:
    class Listed(Section, frozen=True, kw_only=True):
        pools: tuple[str, ...] = ("default",)
        note: str | None = None

    class Whole(Struct, frozen=True, kw_only=True):
        runner: Listed = Listed()

    variables = {"CONVEYOR_RUNNER__POOLS": text, "CONVEYOR_RUNNER__NOTE": "one, two"}
    assert load(Whole, None, environment=variables).runner == Listed(pools=pools, note="one, two")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"gone\.toml: cannot read the configuration: No such file"):
        load(Settings, tmp_path / "gone.toml", environment={})


def test_a_secret_is_given_once_directly_or_by_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="either api_key or api_key_file"):
        loaded(tmp_path, "[plane]\napi_key = 'a'\napi_key_file = 'b'")


def test_secrets_never_print(tmp_path: Path) -> None:
    (tmp_path / "token.txt").write_text("agent-token\n")
    settings = loaded(tmp_path, FULL)
    shown = repr(settings) + str(settings) + f"{settings.plane.api_key}"
    for text in secrets_in(settings):
        assert text not in shown
    assert sorted(secrets_in(settings)) == ["agent-token", "one", "plane-key"]


def test_a_wrong_type_beside_a_secret_does_not_show_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, "[plane]\nwebhook_secrets = [['hidden-text']]")
    assert "hidden-text" not in str(caught.value)


def test_pipelines_are_found_beside_the_configuration_and_default_is_always_there(tmp_path: Path) -> None:
    path = written(tmp_path, "[pipelines]\nsmall = 'small.toml'")
    (tmp_path / "small.toml").write_text(
        'name = "small"\n[[stages]]\nname = "development"\nrole = "developer"\ngate = ["has_changes"]\n'
    )
    settings = load(Settings, path, environment={})
    found = pipelines_of(settings.pipelines, path)
    assert sorted(found) == ["default", "small"]
    assert found["small"].stages[0].role == "developer"
    with pytest.raises(SettingsError, match=r"pipelines\.gone: .*cannot read"):
        pipelines_of({"gone": "gone.toml"}, path)
