"""Effects that reach people and the deployed system: notifications with a link, and the post-deploy monitor."""

import structlog

from conveyor.contracts.commands import CheckHealth, Notify
from conveyor.contracts.errors import PermanentError
from conveyor.contracts.task import Task
from conveyor.servicekit.clock import Clock
from conveyor.stage_engine.ports import Messenger, Probe
from conveyor.stage_engine.projects import Projects
from conveyor.stage_engine.settings import EngineSettings

log = structlog.get_logger()


class NotifyEffect:
    """Tells people; without a configured target the log is told."""

    def __init__(self, messengers: tuple[Messenger, ...], link_prefix: str) -> None:
        self._messengers = messengers
        self._link_prefix = link_prefix

    async def notify(self, command: Notify, task: Task) -> None:
        """Send the message to every target with a link to the issue (SE-20)."""
        link = f"{self._link_prefix}/browse/{task.key}/"
        log.info("notification", task=task.key, level=command.level, text=command.text, link=link)
        for messenger in self._messengers:
            await messenger.notify(command.level, command.text, link)


class HealthEffect:
    """Watches a deployed system for a window (SE-18)."""

    def __init__(self, projects: Projects, probe: Probe, clock: Clock, settings: EngineSettings) -> None:
        self._projects = projects
        self._probe = probe
        self._clock = clock
        self._settings = settings

    async def watch(self, command: CheckHealth, task: Task) -> dict[str, str]:  # noqa: ARG002 # one signature for all
        """Return when the window is over and the system stayed healthy; PermanentError when it is degraded."""
        url = self._projects.project(command.project).health_url
        if not url:
            return {"healthy": "no health_url is configured"}
        until = self._clock.monotonic() + command.window_s
        failures = 0
        while True:
            failures = 0 if await self._probe.healthy(url) else failures + 1
            if failures >= self._settings.health_threshold:
                raise PermanentError(f"{url} failed {failures} times in a row")
            if self._clock.monotonic() >= until:
                return {"healthy": f"{command.window_s} s"}
            await self._clock.sleep(self._settings.health_interval_s)
