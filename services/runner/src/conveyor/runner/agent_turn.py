"""The agent's part of a run: started in its room, listened to while it works, judged by what it said and left."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec.structs import replace

from conveyor.contracts.errors import TransientError
from conveyor.contracts.outcomes import Outcome, OutcomeKind
from conveyor.runner.assignment import Assignment, Means
from conveyor.runner.beginning import Begun
from conveyor.runner.core.classify import Ending, classify
from conveyor.runner.core.plan import RunSpec
from conveyor.runner.evidence import read_left_result
from conveyor.runner.logs import LogShipper
from conveyor.runner.meter import Meter
from conveyor.runner.ports import AgentParser, AgentReport
from conveyor.runner.process import Ladder, ProcessExit, ProcessSpec, Stop, Timers, execute
from conveyor.runner.sandbox import Room
from conveyor.servicekit.ending import cancel_until_ended

TEXT = "text"
SPEND_EVERY_S = 5.0


class AgentTurn:
    """One agent at work. Its parser and its meter follow what it prints."""

    def __init__(self, means: Means, assignment: Assignment, shipper: LogShipper, begun: Begun, spec: RunSpec) -> None:
        self._means = means
        self._command = assignment.command
        self._day_limit_usd = assignment.project.day_budget_usd
        self._switch = assignment.switch
        self._shipper = shipper
        self._begun = begun
        self._spec = spec
        self._parser: AgentParser = means.parser_for(spec.output)
        self._meter = Meter(assignment.agent, begun.before, begun.budgets, assignment.switch)

    async def play(self, room: Room) -> Outcome:
        """Run the agent to its end and return what it came to, its use included."""
        spec, begun = self._spec, self._begun
        if spec.prompt_file:
            await asyncio.to_thread(Path(spec.prompt_file).write_text, begun.prompt, "utf-8")
        self._shipper.say(f"{self._command.role} begins on {begun.workspace.base[:10]}: {spec.argv[0]}")
        async with self._counted():
            left = await execute(self._process(room), self, self._switch, room.guard)
        if left.survivors:
            self._shipper.say(f"{left.survivors} processes outlived the agent and were killed")
        outcome = self._judge(left)
        self._note_session(outcome)
        return replace(outcome, usage=self._meter.usage(self._parser))

    async def output(self, data: bytes) -> None:
        """Ship what it prints to its log; the agent is held back while the log is full."""
        await self._shipper.write(data)

    def line(self, line: bytes) -> bool:
        """Follow one line; answer whether the agent has given its result as of now."""
        self._parser.feed(line)
        self._meter.line(line, self._parser, self._means.call_in)
        if self._parser.hopeless:
            self._switch.stop(Stop.HOPELESS)
        return self._parser.has_result

    def _process(self, room: Room) -> ProcessSpec:
        spec = self._spec
        return ProcessSpec(
            run_id=self._command.run_id,
            argv=(*room.prefix, *spec.argv),
            cwd=self._begun.workspace.path,
            env={**spec.env, **room.env},
            shell=room.shell,
            stdin=self._begun.prompt.encode(),
            timers=Timers(wall_s=spec.wall_s, idle_s=spec.idle_s, after_result_s=spec.after_result_s),
            ladder=Ladder(
                gentle=tuple(signal.Signals[name] for name in spec.stop_signals),
                gentle_wait_s=spec.gentle_s,
                term_wait_s=spec.term_s,
            ),
        )

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        """Note again and again what is spent, and what others leave of the day's budget."""
        counting = asyncio.create_task(self._count())
        try:
            yield
        finally:
            await cancel_until_ended(counting)
            await self._note_spending()

    async def _count(self) -> None:
        while True:
            await self._means.clock.sleep(SPEND_EVERY_S)
            await self._note_spending()
            if self._day_limit_usd:
                with contextlib.suppress(TransientError):  # the limit known so far still holds
                    others_usd = await self._means.spend.of_others(self._command, self._begun.day)
                    self._meter.budgets["day"] = self._day_limit_usd - others_usd
                    self._meter.weigh(self._parser)

    async def _note_spending(self) -> None:
        await self._means.spend.note(self._command, self._begun.day, self._meter.usage(self._parser))

    def _judge(self, left: ProcessExit) -> Outcome:
        report = self._parser.result()
        hint = self._hint(report, left)
        result = "" if left.launch_error else read_left_result(self._begun.workspace.path, self._command.run_id)
        return classify(
            Ending(
                code=left.code,
                stop=left.stop or "",
                why=self._switch.why,
                launch_error=left.launch_error,
                hint=hint.reason if hint.is_transient else None,
                retry_after_s=self._retry_after_s(report, hint),
                resets_at=report.resets_at,
                is_structured=self._spec.output != TEXT,
                result=result,
            ),
            report,
        )

    def _hint(self, report: AgentReport, left: ProcessExit) -> AgentReport:
        """What the end of all output speaks of, standard error included, where the parser found no reason."""
        if report.reason is not None:
            return report
        reader = self._means.parser_for(TEXT)
        for line in left.tail.splitlines():
            reader.feed(line)
        return reader.result()

    def _retry_after_s(self, report: AgentReport, hint: AgentReport) -> float | None:
        if report.resets_at is not None:
            return max((report.resets_at - self._means.clock.now()).total_seconds(), 0.0)
        return report.retry_after_s if report.retry_after_s is not None else hint.retry_after_s

    def _note_session(self, outcome: Outcome) -> None:
        """Remember a session that can be resumed; one that could not be is not tried again (RU-14)."""
        agent, resumed = self._command.agent, self._begun.command.session_id
        if resumed and outcome.kind is OutcomeKind.FAILED and not outcome.verdict:
            self._means.sessions.forget(agent, resumed)
        elif outcome.session_id:
            self._means.sessions.note(agent, outcome.session_id, self._parser.usage)
