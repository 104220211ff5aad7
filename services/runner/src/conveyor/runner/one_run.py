"""One run from its claim to its outcome: made ready, the agent in a place of its own, what it left brought home."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec.structs import replace

from conveyor.contracts import subjects
from conveyor.contracts.errors import PermanentError, TransientError
from conveyor.contracts.outcomes import Outcome, OutcomeKind, OutcomeReason
from conveyor.runner.assignment import Assignment, Means, ended
from conveyor.runner.beginning import Beginning, Begun
from conveyor.runner.core.agent import Agent
from conveyor.runner.core.classify import Ending, classify
from conveyor.runner.core.plan import Ground, RunSpec, plan
from conveyor.runner.evidence import read_left_result
from conveyor.runner.homecoming import Homecoming
from conveyor.runner.hooks import Name, Scene
from conveyor.runner.logs import LogShipper
from conveyor.runner.meter import Meter
from conveyor.runner.ports import AgentParser, AgentReport
from conveyor.runner.process import Ladder, ProcessExit, ProcessSpec, Stop, StopSwitch, Timers, execute
from conveyor.runner.sandbox import Room, Stay
from conveyor.runner.workspace import Workspace
from conveyor.runner.workspace.places import safe_name

TEXT = "text"
SPEND_EVERY_S = 5.0
_PUSHED = (OutcomeKind.SUCCEEDED, OutcomeKind.FAILED, OutcomeKind.TIMEOUT, OutcomeKind.TRANSIENT)
"""What an agent left is kept also when it failed: the next attempt goes on from there."""


class _Listener:
    """Feeds the parser, the meter and the log while the agent runs."""

    def __init__(
        self, means: Means, parser: AgentParser, meter: Meter, shipper: LogShipper, switch: StopSwitch
    ) -> None:
        self._call_in = means.call_in
        self._parser = parser
        self._meter = meter
        self._shipper = shipper
        self._switch = switch

    async def output(self, data: bytes) -> None:
        await self._shipper.write(data)

    def line(self, line: bytes) -> bool:
        self._parser.feed(line)
        self._meter.line(line, self._parser, self._call_in)
        if self._parser.hopeless:
            self._switch.stop(Stop.HOPELESS)
        return self._parser.has_result


async def carry_out(means: Means, assignment: Assignment) -> Outcome:
    """Run the agent and bring home what it left; whatever goes wrong on the way is the outcome, not an error."""
    command = assignment.command
    subject = subjects.log(command.project, command.key, command.run_id)
    scratch = scratch_of(means, command.run_id)
    scratch.mkdir(parents=True, exist_ok=True)
    secrets = {*means.secrets, *_secrets_of(assignment.agent, means.environment)}
    try:
        async with LogShipper(means.sink, subject, secrets, means.clock) as shipper:
            outcome = await _OneRun(means, assignment, shipper, scratch).run()
            shipper.say(f"{outcome.kind}: {outcome.reason}. {outcome.detail}".rstrip())
    finally:
        await asyncio.to_thread(remove_scratch, means, command.run_id)
    return replace(outcome, log_subject=subject)


def remove_scratch(means: Means, run_id: str) -> None:
    """Remove the temporary files of a run."""
    shutil.rmtree(scratch_of(means, run_id), ignore_errors=True)


def scratch_of(means: Means, run_id: str) -> Path:
    """Return where a run has its temporary files."""
    return means.root / "scratch" / safe_name(run_id)


class _OneRun:
    """The steps of one run, in their order."""

    def __init__(self, means: Means, assignment: Assignment, shipper: LogShipper, scratch: Path) -> None:
        self._means = means
        self._a = assignment
        self._command = assignment.command
        self._shipper = shipper
        self._scratch = scratch

    async def run(self) -> Outcome:
        """Return the outcome; only a lost claim is an error."""
        begun = asyncio.ensure_future(Beginning(self._means, self._a).prepare())
        asked = asyncio.ensure_future(self._a.switch.asked.wait())
        try:
            await asyncio.wait({begun, asked}, return_when=asyncio.FIRST_COMPLETED)
            if not begun.done():
                return _stopped(self._a.switch)
            found = begun.result()
        finally:
            for task in (begun, asked):
                task.cancel()
            await asyncio.wait({begun, asked})
        if isinstance(found, Outcome):
            return found
        outcome = await self._execute(found)
        if outcome.kind not in _PUSHED or outcome.reason is OutcomeReason.LAUNCH_FAILED:
            return outcome
        if self._a.switch.reason is Stop.CANCELLED:
            return _stopped(self._a.switch)
        return await Homecoming(self._means, self._a).bring(found.workspace, outcome)

    async def _execute(self, begun: Begun) -> Outcome:
        """Run the agent in a place of its own; what it committed there is in the mirror when this returns."""
        spec = plan(begun.command, self._a.agent, self._ground())
        try:
            async with self._means.sandbox.room(self._stay(begun.workspace, spec)) as room:
                return await self._in_room(room, spec, begun)
        except (PermanentError, TransientError, OSError) as error:
            return ended(OutcomeKind.FAILED, OutcomeReason.WORKSPACE_FAILED, f"the sandbox failed: {error}")

    def _stay(self, workspace: Workspace, spec: RunSpec) -> Stay:
        return Stay(
            run_id=self._command.run_id,
            program=spec.argv[0],
            search_path=spec.env.get("PATH", os.defpath),
            workspace=workspace,
            home=Path(spec.env["HOME"]),
            scratch=self._scratch,
            switch=self._a.switch,
            say=self._shipper.say,
        )

    async def _in_room(self, room: Room, spec: RunSpec, begun: Begun) -> Outcome:
        """Run the hooks around the agent, and the agent unless one of those before it failed (RU-15)."""
        scene = self._scene(room, spec, begun.workspace)
        before: tuple[Name, ...] = ("after_create", "before_run") if begun.workspace.is_new else ("before_run",)
        for name in before:
            if why := await self._means.hooks.run(name, scene):
                if self._a.switch.reason is not None:
                    return _stopped(self._a.switch)
                return ended(OutcomeKind.FAILED, OutcomeReason.WORKSPACE_FAILED, why)
            if name == "after_create":
                self._means.workspaces.finish(begun.workspace)
        outcome = await self._run_agent(room, spec, begun)
        await self._a.agent_ended(outcome)
        if why := await self._means.hooks.run("after_run", replace(scene, switch=StopSwitch())):
            self._shipper.say(why)
        return outcome

    def _scene(self, room: Room, spec: RunSpec, workspace: Workspace) -> Scene:
        async def read_target(file: str) -> str | None:
            return await self._means.workspaces.read_target(workspace.request, file)

        return Scene(
            run_id=self._command.run_id,
            worktree=workspace.path,
            scratch=self._scratch,
            env={**spec.env, **room.env},
            prefix=room.prefix,
            shell=room.shell,
            guard=room.guard,
            switch=self._a.switch,
            take=self._shipper.write,
            read_target=read_target,
        )

    async def _run_agent(self, room: Room, spec: RunSpec, begun: Begun) -> Outcome:
        if spec.prompt_file:
            await asyncio.to_thread(Path(spec.prompt_file).write_text, begun.prompt, "utf-8")
        parser = self._means.parser_for(spec.output)
        meter = Meter(self._a.agent, begun.before, begun.budgets, self._a.switch)
        self._shipper.say(f"{self._command.role} begins on {begun.workspace.base[:10]}: {spec.argv[0]}")
        listener = _Listener(self._means, parser, meter, self._shipper, self._a.switch)
        async with self._counted(meter, parser, begun.day):
            left = await execute(
                _process_spec(self._command.run_id, spec, begun, room), listener, self._a.switch, room.guard
            )
        if left.survivors:
            self._shipper.say(f"{left.survivors} processes outlived the agent and were killed")
        outcome = self._classify(spec, begun.workspace, parser, left)
        self._note_session(begun, parser, outcome)
        return replace(outcome, usage=meter.usage(parser))

    def _classify(self, spec: RunSpec, workspace: Workspace, parser: AgentParser, left: ProcessExit) -> Outcome:
        report = parser.result()
        hint = self._hint(report, left)
        result = "" if left.launch_error else read_left_result(workspace.path, self._command.run_id)
        return classify(
            Ending(
                code=left.code,
                stop=left.stop or "",
                why=self._a.switch.why,
                launch_error=left.launch_error,
                hint=hint.reason if hint.is_transient else None,
                retry_after_s=self._retry_after_s(report, hint),
                resets_at=report.resets_at,
                is_structured=spec.output != TEXT,
                result=result,
            ),
            report,
        )

    @asynccontextmanager
    async def _counted(self, meter: Meter, parser: AgentParser, day: str) -> AsyncIterator[None]:
        """Note again and again what is spent, and what others leave of the day's budget."""
        counting = asyncio.create_task(self._count(meter, parser, day))
        try:
            yield
        finally:
            counting.cancel()
            await asyncio.wait({counting})
            await self._means.spend.note(self._command, day, meter.usage(parser))

    async def _count(self, meter: Meter, parser: AgentParser, day: str) -> None:
        while True:
            await self._means.clock.sleep(SPEND_EVERY_S)
            await self._means.spend.note(self._command, day, meter.usage(parser))
            if limit := self._a.project.day_budget_usd:
                with contextlib.suppress(TransientError):  # the limit known so far still holds
                    meter.budgets["day"] = limit - await self._means.spend.of_others(self._command, day)
                    meter.weigh(parser)

    def _note_session(self, begun: Begun, parser: AgentParser, outcome: Outcome) -> None:
        """Remember a session that can be resumed; one that could not be is not tried again (RU-14)."""
        agent, resumed = self._command.agent, begun.command.session_id
        if resumed and outcome.kind is OutcomeKind.FAILED and not outcome.verdict:
            self._means.sessions.forget(agent, resumed)
        elif outcome.session_id:
            self._means.sessions.note(agent, outcome.session_id, parser.usage)

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

    def _ground(self) -> Ground:
        own = self._means.root / "homes" / safe_name(self._command.agent)
        home = Path(self._a.agent.home) if self._a.agent.home else own
        home.mkdir(parents=True, exist_ok=True)
        return Ground(
            environment=self._means.environment,
            home=str(home),
            scratch=str(self._scratch),
            author=self._means.author,
        )


def _stopped(switch: StopSwitch) -> Outcome:
    if switch.reason is Stop.SHUTDOWN:
        return ended(OutcomeKind.CANCELLED, OutcomeReason.RUNNER_STOPPED, "stopped: its runner shuts down")
    return ended(OutcomeKind.CANCELLED, OutcomeReason.CANCELLED_BY_ENGINE, "stopped: no longer wanted")


def _process_spec(run_id: str, spec: RunSpec, begun: Begun, room: Room) -> ProcessSpec:
    return ProcessSpec(
        run_id=run_id,
        argv=(*room.prefix, *spec.argv),
        cwd=begun.workspace.path,
        env={**spec.env, **room.env},
        shell=room.shell,
        stdin=begun.prompt.encode(),
        timers=Timers(wall_s=spec.wall_s, idle_s=spec.idle_s, after_result_s=spec.after_result_s),
        ladder=Ladder(
            gentle=tuple(signal.Signals[name] for name in spec.stop_signals),
            gentle_wait_s=spec.gentle_s,
            term_wait_s=spec.term_s,
        ),
    )


def _secrets_of(agent: Agent, environment: Mapping[str, str]) -> set[str]:
    """Values an agent gets by variables whose names speak of secrets."""
    given = {**agent.env, **{name: environment[name] for name in agent.pass_env if name in environment}}
    words = ("KEY", "TOKEN", "SECRET", "PASSWORD")
    return {value for name, value in given.items() if any(word in name.upper() for word in words)}
