"""Watches what a run costs and whether it gets anywhere, while it goes on; stops it when a budget is spent (RU-13)."""

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from conveyor.contracts.outcomes import Usage
from conveyor.runner.core.agent import Agent
from conveyor.runner.core.money import cost_usd, own_share, spent_budget
from conveyor.runner.core.repetition import Repetition
from conveyor.runner.ports import AgentParser
from conveyor.runner.process import Stop, StopSwitch

_TELLING = (b"usage", b"cost", b"tokens", b"Usage")


class Meter:
    """One run's meter. `before` is what its session had told when it was last held."""

    def __init__(self, agent: Agent, before: Usage, budgets: Mapping[str, float], switch: StopSwitch) -> None:
        self._agent = agent
        self._before = before
        self._switch = switch
        self._repetition = Repetition(agent.repeat_limit)
        self._last_usd = 0.0
        self.budgets = dict(budgets)
        """What is left of each in US dollars, this run not counted; may change while it goes on."""

    def line(self, line: bytes, parser: AgentParser, call_in: Callable[[bytes], str]) -> None:
        """Look at a line that the parser has taken."""
        if self._agent.repeat_limit and (call := call_in(line)) and self._repetition.note(call):
            why = f"it made the same call {self._agent.repeat_limit} times in a row: {call[:120]}"
            self._switch.stop(Stop.NO_PROGRESS, why)
        if self.budgets and any(word in line for word in _TELLING):
            self.weigh(parser)

    def weigh(self, parser: AgentParser) -> None:
        """Stop the run when a budget is spent, or would be by a step like the last one."""
        spent = self.usage(parser).cost_usd
        step, self._last_usd = spent - self._last_usd, spent
        if why := spent_budget(spent, step, self.budgets):
            self._switch.stop(Stop.BUDGET, why)

    def usage(self, parser: AgentParser) -> Usage:
        """Return what the run itself has used so far, with its cost."""
        told = own_share(parser.usage, self._before, is_session_total=parser.is_session_total)
        return replace(told, cost_usd=cost_usd(told, self._agent.price))
