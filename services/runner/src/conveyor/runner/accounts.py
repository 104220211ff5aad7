"""The accounts of agents as runs meet them: asked before an agent is called, told what came of the call (RU-9)."""

from collections.abc import Awaitable, Callable, Mapping

from conveyor.contracts.commands import StartRun
from conveyor.contracts.outcomes import Outcome, OutcomeKind, OutcomeReason
from conveyor.runner.breakers import Breakers
from conveyor.runner.core.agent import Agent
from conveyor.servicekit import logs

NEVER_CALLED = Outcome(kind=OutcomeKind.CANCELLED, reason=OutcomeReason.RUNNER_STOPPED)
"""What a run is to an account that it never called: the end of a probe, no more."""
_log = logs.get("runner.accounts")


class Accounts:
    """Every runner's word on every account, in one bucket. `alert` tells people, once a text."""

    def __init__(
        self, breakers: Breakers, agents: Mapping[str, Agent], alert: Callable[[StartRun, str], Awaitable[None]]
    ) -> None:
        self._breakers = breakers
        self._agents = agents
        self._alert = alert

    @property
    def paused(self) -> dict[str, str]:
        """Why runs wait, by account."""
        return self._breakers.paused

    async def admit(self, command: StartRun) -> None:
        """Return when this run may call its agent's account; TransientError with the wait when it may not."""
        await self._breakers.admit(self._of(command), command.run_id)

    async def tell(self, command: StartRun, outcome: Outcome) -> None:
        """Note what an agent came to; people are told when that pauses its account. Never raises."""
        account = self._of(command)
        opened = await self._breakers.note(account, command.run_id, outcome)
        if opened is None:
            return
        until = f"until {opened.open_until:%Y-%m-%d %H:%M:%S} UTC"
        _log.error("agent account is paused", account=account, until=until, reason=opened.why)
        await self._alert(command, f"Agent account {account} is paused {until}: {opened.why}")

    def _of(self, command: StartRun) -> str:
        agent = self._agents.get(command.agent)
        return (agent.account if agent else "") or command.agent
