"""The agents: whether their programs are there and answer, by the very look that a runner takes before a run."""

import shutil

from conveyor.cli.doctor.finding import Clipboard, Finding
from conveyor.runner.preflight import Preflight
from conveyor.runner.settings import Settings, with_presets
from conveyor.servicekit.clock import SYSTEM_CLOCK
from conveyor.servicekit.settings import environment_with


async def look(settings: Settings) -> list[Finding]:
    """Return how the agents of a runner on this machine are."""
    settings = with_presets(settings)
    notes = Clipboard("agents")
    environment = environment_with({})
    preflight = Preflight(settings.agents, environment, SYSTEM_CLOCK)
    for name, agent in settings.agents.items():
        told = notes.of(name)
        problem = await preflight.problem(name)
        if problem:
            told.failed("starts", problem, "install it where the runner runs, or set its command and version")
        elif not agent.version:
            advice = 'set its version, such as ["claude", "--version"]'
            told.warning("starts", f"{agent.command[0]} is there; it was not asked whether it starts", advice)
        else:
            told.ok("starts", f"`{' '.join(agent.version)}` answers")
        missing = [variable for variable in agent.pass_env if not environment.get(variable)]
        if missing:
            advice = "set it where the runner runs, unless the agent is logged in by its HOME"
            told.warning("environment", f"it is to get {', '.join(missing)}, which is not set here", advice)
    git = shutil.which("git", path=environment.get("PATH"))
    if git is None:
        notes.failed("git", "there is no program git, which every run needs", "install git")
    else:
        notes.ok("git", f"it is at {git}")
    return notes.findings
