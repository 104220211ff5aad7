"""Effects that reach people and the deployed system: notifications with a link, and the post-deploy monitor."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from conveyor.contracts.commands import CheckHealth, Notify
from conveyor.contracts.errors import PermanentError
from conveyor.contracts.task import Task
from conveyor.servicekit import logs
from conveyor.servicekit.bus import Bucket
from conveyor.servicekit.clock import Clock
from conveyor.stage_engine.effects.patience import pause
from conveyor.stage_engine.ports import Messenger, Probe
from conveyor.stage_engine.projects import Projects
from conveyor.stage_engine.settings import EngineSettings

log = logs.get("people")
SENT_TTL_S = 30 * 86_400
"""As long as commands are kept."""


class NotifyEffect:
    """Tells people; without a configured target the log is told."""

    def __init__(self, messengers: dict[str, Messenger], link_prefix: str, sent: Bucket) -> None:
        self._messengers = messengers
        self._link_prefix = link_prefix
        self._sent = sent

    async def notify(self, command: Notify, task: Task) -> None:
        """Send the message to every target with a link to the issue (SE-20), to all at once: none waits for another.

        What was sent is noted, so that it is sent once; only a crash in the moment between the two sends it again.
        When a target fails the others have theirs, and it alone is tried again.
        """
        link = f"{self._link_prefix}/browse/{task.key}/"
        log.info("notification", task=task.key, level=command.level, text=command.text, link=link)
        results = await asyncio.gather(
            *(self._send(name, command, link) for name in self._messengers), return_exceptions=True
        )
        failures = [result for result in results if isinstance(result, BaseException)]
        for failure in sorted(failures, key=lambda failure: isinstance(failure, PermanentError)):
            raise failure  # one that may work later first: the message must not be buried before it did

    async def _send(self, name: str, command: Notify, link: str) -> None:
        noted = f"notified.{command.command_id}.{name}"
        if await self._sent.get(noted) is not None:
            return
        await self._messengers[name].notify(command.level, command.text, link)
        await self._sent.put(noted, b"", ttl_s=SENT_TTL_S)


@dataclass(frozen=True)
class Watching:
    """What the monitor stands on."""

    probe: Probe
    clock: Clock
    settings: EngineSettings
    stopping: asyncio.Event


class HealthEffect:
    """Watches a deployed system for a window (SE-18)."""

    def __init__(self, projects: Projects, watching: Watching) -> None:
        self._projects = projects
        self._watching = watching

    async def watch(self, command: CheckHealth, task: Task) -> dict[str, str]:  # noqa: ARG002 # one signature for all
        """Return when the window is over and the system is healthy; PermanentError when it is degraded.

        The window begins with the command, so a restart of the engine continues it; failures in a row are counted
        anew. It ends with a good answer: one that fails at the end is asked again.
        """
        url, on = self._projects.project(command.project).health_url, self._watching
        if not url:
            return {"healthy": "no health_url is configured"}
        until = command.issued_at + timedelta(seconds=command.window_s)
        failures = 0
        while True:
            failures = 0 if await on.probe.healthy(url) else failures + 1
            if failures >= on.settings.health_threshold:
                raise PermanentError(f"{url} failed {failures} times in a row")
            if not failures and on.clock.now() >= until:
                return {"healthy": f"{command.window_s} s"}
            await pause(on.clock, on.stopping, on.settings.health_interval_s)
