"""Whether agents can start at all, asked before a run is claimed: the program is there and answers (RU-6)."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from conveyor.runner.core.agent import Agent
from conveyor.runner.core.plan import inherited
from conveyor.runner.core.version import is_older
from conveyor.runner.process import ProcessSpec, StopSwitch, Timers, execute, probe_id
from conveyor.servicekit.clock import Clock

FRESH_S = 45.0
TIMEOUT_S = 5.0


class _Deaf:
    async def output(self, data: bytes) -> None:
        """Its tail is enough."""

    def line(self, line: bytes) -> bool:  # noqa: ARG002 - nobody reads it
        return False


class Preflight:
    """Looks at each agent at most every 45 s; costs no tokens."""

    def __init__(self, agents: Mapping[str, Agent], environment: Mapping[str, str], clock: Clock) -> None:
        self._agents = agents
        self._environment = inherited(environment)
        self._clock = clock
        self._known: dict[str, tuple[float, str]] = {}

    @property
    def problems(self) -> dict[str, str]:
        """What was wrong with each agent when it was last looked at; empty text for nothing."""
        return {name: self._known.get(name, (0.0, ""))[1] for name in self._agents}

    @property
    def can_work(self) -> bool:
        """Whether any agent could start."""
        return not all(self.problems.values())

    async def look(self) -> None:
        """Look at every agent."""
        for name in self._agents:
            await self.problem(name)

    async def problem(self, name: str) -> str:
        """Return why this agent cannot start; empty text when it can."""
        looked_at_s, problem = self._known.get(name, (float("-inf"), ""))
        if self._clock.monotonic() - looked_at_s < FRESH_S:
            return problem
        problem = await self._look_at(self._agents[name])
        self._known[name] = (self._clock.monotonic(), problem)
        return problem

    async def _look_at(self, agent: Agent) -> str:
        program = agent.command[0]
        if shutil.which(program, path=self._environment.get("PATH")) is None:
            return f"there is no program {program}"
        if not agent.version:
            return ""
        ended = await execute(
            ProcessSpec(
                run_id=probe_id("preflight"),
                argv=agent.version,
                cwd=Path("/"),
                env={**self._environment, **agent.env},
                stdin=b"",
                timers=Timers(wall_s=TIMEOUT_S),
            ),
            _Deaf(),
            StopSwitch(),
        )
        if ended.code == 0:
            return _age(ended.tail.decode(errors="replace"), agent.min_version)
        return ended.launch_error or f"{' '.join(agent.version)} ended with {ended.stop or ended.code}"


def _age(said: str, least: str) -> str:
    return f"version {said.strip()[:60]} is older than {least}" if least and is_older(said, least) else ""
