"""The agents that ship ready, and how a configuration changes them."""

import pytest
from msgspec.structs import replace

from conveyor.adapters.agents import FORMATS
from conveyor.contracts.errors import SettingsError
from conveyor.contracts.project import Project
from conveyor.runner.core.agent import Agent
from conveyor.runner.core.presets import PRESETS, completed
from conveyor.runner.settings import Settings, check
from conveyor.servicekit.sections import GiteaSettings

PROJECT = Project(name="shop", tracker_project_id="p", identifier="SHOP", repository="acme/shop")


def settings(agent: Agent) -> Settings:
    return Settings(gitea=GiteaSettings(), project=(PROJECT,), agents={"mine": agent})


@pytest.mark.behaviour("RU-3")
@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_can_be_started_read_and_asked_for_its_version(name: str) -> None:
    agent = completed(Agent(preset=name))
    assert agent.command[0] == name
    assert agent.output in FORMATS
    assert agent.version == (name, "--version")
    check(settings(Agent(preset=name)))


@pytest.mark.behaviour("RU-3")
def test_what_is_set_outranks_the_preset_and_the_rest_is_the_presets() -> None:
    agent = completed(Agent(preset="claude", command=("/opt/claude",), timeout_s=60))
    assert (agent.command, agent.timeout_s) == (("/opt/claude",), 60)
    assert (agent.output, agent.resume) == (PRESETS["claude"].output, PRESETS["claude"].resume)


@pytest.mark.behaviour("RU-3")
def test_any_plain_command_needs_no_preset() -> None:
    agent = Agent(command=("make", "check"))
    assert completed(agent) == agent
    check(settings(agent))


@pytest.mark.parametrize(
    ("agent", "why"), [(Agent(preset="clod"), "agents.mine.preset"), (Agent(), "a preset, or a command")]
)
def test_an_agent_that_cannot_be_is_refused(agent: Agent, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        check(settings(replace(agent)))
