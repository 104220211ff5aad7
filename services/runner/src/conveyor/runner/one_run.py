"""One run from its claim to its outcome: worktree, prompt, agent, result, commit, push, pull request."""

import asyncio
import os
import shutil
import signal
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from conveyor.contracts import subjects
from conveyor.contracts.commands import StartRun
from conveyor.contracts.errors import PermanentError, TransientError
from conveyor.contracts.outcomes import Outcome, OutcomeKind, OutcomeReason
from conveyor.contracts.project import Project
from conveyor.runner.core.agent import Agent
from conveyor.runner.core.classify import DETAIL_CHARS, Ending, classify
from conveyor.runner.core.plan import Ground, RunSpec, commit_message, docs_dir, plan, pull_request_text
from conveyor.runner.evidence import clear, read_left_result
from conveyor.runner.logs import LogShipper, LogSink
from conveyor.runner.ports import AgentParser, AgentReport, Forge, ParserFor, Tracker
from conveyor.runner.process import Ladder, ProcessExit, ProcessSpec, Stop, StopSwitch, Timers, execute
from conveyor.runner.prompts import override_path, prompt_for
from conveyor.runner.sandbox import Room, Sandbox, Stay
from conveyor.runner.workspace import PushRejectedError, Request, Workspace, Workspaces
from conveyor.runner.workspace.places import safe_name
from conveyor.servicekit import logs
from conveyor.servicekit.backoff import delays, retry
from conveyor.servicekit.clock import Clock

PUSH_ATTEMPTS = 6
"""A finished run is worth waiting for the forge: about a minute in all."""
TEXT = "text"
_PUSHED = (OutcomeKind.SUCCEEDED, OutcomeKind.FAILED, OutcomeKind.TIMEOUT, OutcomeKind.TRANSIENT)
"""What an agent left is kept also when it failed: the next attempt goes on from there."""
_log = logs.get("runner")


class Means(Struct, frozen=True, kw_only=True):
    """What every run of this runner works with."""

    workspaces: Workspaces
    sandbox: Sandbox
    forge: Forge
    tracker: Tracker | None
    """None where no tracker is configured: prompts then know the issue's title alone."""
    parser_for: ParserFor
    sink: LogSink
    clock: Clock
    root: Path
    environment: Mapping[str, str]
    author: tuple[str, str]
    secrets: Collection[str]
    """Texts that never appear in a log."""
    clone_url: Callable[[str], str]
    remember: Callable[[str, StartRun], Awaitable[None]]
    """Notes whose commit this is, before the forge can speak of it (GW-8)."""


class Assignment(Struct, frozen=True, kw_only=True):
    """One run: the command, its project, its agent, how it is stopped, and whether it is still ours."""

    command: StartRun
    project: Project
    agent: Agent
    switch: StopSwitch
    still_ours: Callable[[], Awaitable[None]]
    """Raises when the claim is gone: nothing may be pushed then (rule 5)."""


class _Listener:
    """Feeds the parser and the log while the agent runs."""

    def __init__(self, parser: AgentParser, shipper: LogShipper, switch: StopSwitch) -> None:
        self._parser = parser
        self._shipper = shipper
        self._switch = switch

    async def output(self, data: bytes) -> None:
        await self._shipper.write(data)

    def line(self, line: bytes) -> bool:
        self._parser.feed(line)
        if self._parser.hopeless:
            self._switch.stop(Stop.HOPELESS)
        return self._parser.has_result


async def carry_out(means: Means, assignment: Assignment) -> Outcome:
    """Run the agent and bring home what it left; whatever goes wrong on the way is the outcome, not an error."""
    command = assignment.command
    subject = subjects.log(command.project, command.key, command.run_id)
    scratch = _scratch(means, command.run_id)
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
    shutil.rmtree(_scratch(means, run_id), ignore_errors=True)


def _scratch(means: Means, run_id: str) -> Path:
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
        begun = asyncio.ensure_future(self._prepare())
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
        outcome = await self._execute(*found)
        if outcome.kind not in _PUSHED or outcome.reason is OutcomeReason.LAUNCH_FAILED:
            return outcome
        if self._a.switch.reason is Stop.CANCELLED:
            return _stopped(self._a.switch)
        return await self._bring_home(found[0], outcome)

    async def _prepare(self) -> tuple[Workspace, str] | Outcome:
        """Return the worktree and the prompt, or the outcome of a run that cannot even begin."""
        try:
            workspace = await self._means.workspaces.prepare(self._request())
        except TransientError as error:
            return _outcome(OutcomeKind.TRANSIENT, OutcomeReason.NETWORK, f"cannot prepare the worktree: {error}")
        except (PermanentError, OSError) as error:
            return _outcome(OutcomeKind.FAILED, OutcomeReason.WORKSPACE_FAILED, f"cannot prepare the worktree: {error}")
        try:
            clear(workspace.path, docs_dir(self._command), self._command.clears)
            return workspace, await self._prompt(workspace)
        except TransientError as error:
            return _outcome(OutcomeKind.TRANSIENT, OutcomeReason.NETWORK, f"cannot read the issue: {error}")
        except PermanentError as error:
            return _outcome(OutcomeKind.FAILED, OutcomeReason.LAUNCH_FAILED, str(error))

    def _request(self) -> Request:
        project, command = self._a.project, self._command
        return Request(
            project=command.project,
            key=command.key,
            repository=project.repository,
            url=self._means.clone_url(project.repository),
            branch=command.branch,
            target_branch=project.target_branch,
            update=command.update,
        )

    async def _prompt(self, workspace: Workspace) -> str:
        description = await self._description()
        override = await self._means.workspaces.read_target(workspace.request, override_path(self._command.role))
        return prompt_for(
            self._command, target_branch=self._a.project.target_branch, description=description, override=override
        )

    async def _description(self) -> str:
        """The issue's text as it is now: edited ones are seen by the next run (SE-19)."""
        tracker = self._means.tracker
        if tracker is None:
            return ""
        issue = await retry(
            lambda: tracker.issue(self._a.project.tracker_project_id, self._command.issue_id),
            delays(1.0, 10.0, self._command.run_id),
            attempts=3,
            clock=self._means.clock,
        )
        return issue.description if issue else ""

    async def _execute(self, workspace: Workspace, prompt: str) -> Outcome:
        """Run the agent in a place of its own; what it committed there is in the mirror when this returns."""
        spec = plan(self._command, self._a.agent, self._ground())
        try:
            async with self._means.sandbox.room(self._stay(workspace, spec)) as room:
                return await self._run_agent(room, spec, workspace, prompt)
        except (PermanentError, TransientError, OSError) as error:
            return _outcome(OutcomeKind.FAILED, OutcomeReason.WORKSPACE_FAILED, f"the sandbox failed: {error}")

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

    async def _run_agent(self, room: Room, spec: RunSpec, workspace: Workspace, prompt: str) -> Outcome:
        parser = self._means.parser_for(spec.output)
        self._shipper.say(f"{self._command.role} begins on {workspace.base[:10]}: {spec.argv[0]}")
        listener = _Listener(parser, self._shipper, self._a.switch)
        ended = await execute(
            _process_spec(self._command.run_id, spec, workspace.path, prompt, room),
            listener,
            self._a.switch,
            room.guard,
        )
        if ended.survivors:
            self._shipper.say(f"{ended.survivors} processes outlived the agent and were killed")
        report = parser.result()
        hint = self._hint(report, ended)
        result = "" if ended.launch_error else read_left_result(workspace.path, self._command.run_id)
        return classify(
            Ending(
                code=ended.code,
                stop=ended.stop or "",
                why=self._a.switch.why,
                launch_error=ended.launch_error,
                hint=hint.reason if hint.is_transient else None,
                retry_after_s=self._retry_after_s(report, hint),
                is_structured=spec.output != TEXT,
                result=result,
            ),
            report,
        )

    def _hint(self, report: AgentReport, ended: ProcessExit) -> AgentReport:
        """What the end of all output speaks of, standard error included, where the parser found no reason."""
        if report.reason is not None:
            return report
        reader = self._means.parser_for(TEXT)
        for line in ended.tail.splitlines():
            reader.feed(line)
        return reader.result()

    def _retry_after_s(self, report: AgentReport, hint: AgentReport) -> float | None:
        if report.resets_at is not None:
            return max((report.resets_at - self._means.clock.now()).total_seconds(), 0.0)
        return report.retry_after_s if report.retry_after_s is not None else hint.retry_after_s

    def _ground(self) -> Ground:
        home = (
            Path(self._a.agent.home)
            if self._a.agent.home
            else self._means.root / "homes" / safe_name(self._command.agent)
        )
        home.mkdir(parents=True, exist_ok=True)
        return Ground(
            environment=self._means.environment,
            home=str(home),
            scratch=str(self._scratch),
            author=self._means.author,
        )

    # --- the way home

    async def _bring_home(self, workspace: Workspace, outcome: Outcome) -> Outcome:
        try:
            head = await self._push(workspace)
            changed = await self._means.workspaces.has_changed(workspace, head)
            is_on_forge = bool(workspace.expected) or head != workspace.base
            known = replace(outcome, head=head if is_on_forge else "", changed=changed)
            return await self._propose(workspace, known)
        except PushRejectedError as error:
            return self._spoilt(outcome, OutcomeKind.FAILED, OutcomeReason.PUSH_REJECTED, error)
        except TransientError as error:
            return self._spoilt(outcome, OutcomeKind.TRANSIENT, OutcomeReason.NETWORK, error)
        except (PermanentError, OSError) as error:
            return self._spoilt(outcome, OutcomeKind.FAILED, OutcomeReason.WORKSPACE_FAILED, error)

    async def _push(self, workspace: Workspace) -> str:
        means, command = self._means, self._command
        head = await means.workspaces.commit(workspace, commit_message(command))
        if head == (workspace.expected or workspace.base):
            return head  # nothing was left, and nothing brought in
        await means.remember(head, command)
        await self._a.still_ours()
        waits = delays(1.0, 20.0, command.run_id)
        pushed = await retry(
            lambda: means.workspaces.push(workspace, head), waits, attempts=PUSH_ATTEMPTS, clock=means.clock
        )
        if pushed != head:
            await means.remember(pushed, command)
        return pushed

    async def _propose(self, workspace: Workspace, outcome: Outcome) -> Outcome:
        """Open the pull request where the stage wants one and there is something to propose."""
        if not self._command.opens_pull_request or outcome.kind is not OutcomeKind.SUCCEEDED or not outcome.head:
            return outcome
        means, project = self._means, self._a.project
        if not await means.workspaces.differs_from_target(workspace, outcome.head):
            return outcome
        title, body = pull_request_text(self._command)
        found = await retry(
            lambda: means.forge.ensure_pull_request(
                project.repository, self._command.branch, project.target_branch, title, body
            ),
            delays(1.0, 20.0, self._command.run_id),
            attempts=PUSH_ATTEMPTS,
            clock=means.clock,
        )
        return replace(outcome, pull_request=found.number)

    def _spoilt(self, outcome: Outcome, kind: OutcomeKind, reason: OutcomeReason, error: Exception) -> Outcome:
        """A good run whose work cannot be brought home is none; a failed one stays what it was."""
        _log.warning("work not brought home", run_id=self._command.run_id, reason=str(error))
        if outcome.kind is not OutcomeKind.SUCCEEDED:
            return outcome
        return replace(outcome, kind=kind, reason=reason, detail=str(error)[:DETAIL_CHARS])


def _stopped(switch: StopSwitch) -> Outcome:
    if switch.reason is Stop.SHUTDOWN:
        return _outcome(OutcomeKind.CANCELLED, OutcomeReason.RUNNER_STOPPED, "stopped: its runner shuts down")
    return _outcome(OutcomeKind.CANCELLED, OutcomeReason.CANCELLED_BY_ENGINE, "stopped: no longer wanted")


def _process_spec(run_id: str, spec: RunSpec, cwd: Path, prompt: str, room: Room) -> ProcessSpec:
    return ProcessSpec(
        run_id=run_id,
        argv=(*room.prefix, *spec.argv),
        cwd=cwd,
        env={**spec.env, **room.env},
        shell=room.shell,
        stdin=prompt.encode(),
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


def _outcome(kind: OutcomeKind, reason: OutcomeReason, detail: str) -> Outcome:
    return Outcome(kind=kind, reason=reason, detail=detail[:DETAIL_CHARS])
