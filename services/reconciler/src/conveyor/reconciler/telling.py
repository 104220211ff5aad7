"""How people are told where they chat: the same targets as the engine's notifications, with a link to the issue."""

from typing import Protocol

from conveyor.contracts.commands import Level


class Target(Protocol):
    """One chat."""

    async def notify(self, level: str, text: str, link: str) -> None:
        """Send one message with a link."""


class Chat:
    """One target as the reconciler uses it."""

    def __init__(self, target: Target, link_prefix: str) -> None:
        self._target = target
        self._link_prefix = link_prefix

    async def __call__(self, text: str, key: str, level: Level = Level.INFO) -> None:
        """Send one sentence, about an issue unless the key is empty."""
        link = f"{self._link_prefix}/browse/{key}/" if key else self._link_prefix
        await self._target.notify(level, text, link)
