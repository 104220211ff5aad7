"""One run from its claim to its outcome: made ready, the agent in a place of its own, what it left brought home."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from conveyor.contracts import subjects
from conveyor.contracts.errors import PermanentError, TransientError
from conveyor.contracts.outcomes import Outcome, OutcomeKind, OutcomeReason
from conveyor.runner.agent_turn import AgentTurn
from conveyor.runner.assignment import Assignment, Means, ended
from conveyor.runner.beginning import Beginning, Begun
from conveyor.runner.core.agent import Agent
from conveyor.runner.core.plan import Ground, RunSpec, plan
from conveyor.runner.homecoming import Homecoming
from conveyor.runner.hooks import Name, Scene
from conveyor.runner.interruption import unless
from conveyor.runner.logs import LogShipper
from conveyor.runner.process import Stop, StopSwitch
from conveyor.runner.sandbox import Room, Stay
from conveyor.runner.scratch import remove_scratch, scratch_of
from conveyor.runner.workspace import Workspace
from conveyor.runner.workspace.places import safe_name

_PUSHED = (OutcomeKind.SUCCEEDED, OutcomeKind.FAILED, OutcomeKind.TIMEOUT, OutcomeKind.TRANSIENT)
"""What an agent left is kept also when it failed: the next attempt goes on from there."""


async def carry_out(means: Means, assignment: Assignment) -> Outcome:
    """Run the agent and bring home what it left; whatever goes wrong on the way is the outcome, not an error."""
    command = assignment.command
    subject = subjects.log(command.project, command.key, command.run_id)
    scratch = scratch_of(means.root, command.run_id)
    scratch.mkdir(parents=True, exist_ok=True)
    secrets = {*means.secrets, *_secrets_of(assignment.agent, means.environment)}
    try:
        async with LogShipper(means.sink, subject, secrets, means.clock) as shipper:
            outcome = await _OneRun(means, assignment, shipper, scratch).run()
            shipper.say(f"{outcome.kind}: {outcome.reason}. {outcome.detail}".rstrip())
    finally:
        await asyncio.to_thread(remove_scratch, means.root, command.run_id)
    return replace(outcome, log_subject=subject)


class _OneRun:
    """The steps of one run, in their order."""

    def __init__(self, means: Means, assignment: Assignment, shipper: LogShipper, scratch: Path) -> None:
        self._means = means
        self._a = assignment
        self._switch = assignment.switch
        self._shipper = shipper
        self._scratch = scratch

    async def run(self) -> Outcome:
        """Return the outcome; only a lost claim is an error."""
        begun = await unless(self._switch.asked, Beginning(self._means, self._a).prepare())
        if begun is None:
            return _stopped(self._switch)
        if isinstance(begun, Outcome):
            return begun
        outcome = await self._execute(begun)
        if outcome.kind not in _PUSHED or outcome.reason is OutcomeReason.LAUNCH_FAILED:
            return outcome
        home = await unless(self._switch.called_off, Homecoming(self._means, self._a).bring(begun.workspace, outcome))
        return home or replace(_stopped(self._switch), usage=outcome.usage, session_id=outcome.session_id)

    async def _execute(self, begun: Begun) -> Outcome:
        """Run the agent in a place of its own; what it committed there is in the mirror when this returns."""
        spec = plan(begun.command, self._a.agent, self._ground())
        try:
            async with self._means.sandbox.room(self._stay(begun.workspace, spec)) as room:
                return await self._in_room(room, spec, begun)
        except (PermanentError, TransientError, OSError) as error:
            return ended(OutcomeKind.FAILED, OutcomeReason.WORKSPACE_FAILED, f"the sandbox failed: {error}")

    async def _in_room(self, room: Room, spec: RunSpec, begun: Begun) -> Outcome:
        """Run the hooks around the agent, and the agent unless one of those before it failed (RU-15)."""
        scene = self._scene(room, spec, begun.workspace)
        before: tuple[Name, ...] = ("after_create", "before_run") if begun.workspace.is_new else ("before_run",)
        for name in before:
            why = await self._means.hooks.run(name, scene)
            if why and self._switch.reason is not None:
                return _stopped(self._switch)
            if why:
                return ended(OutcomeKind.FAILED, OutcomeReason.WORKSPACE_FAILED, why)
            if name == "after_create":
                self._means.workspaces.finish(begun.workspace)
        outcome = await AgentTurn(self._means, self._a, self._shipper, begun, spec).play(room)
        await self._a.agent_ended(outcome)
        if why := await self._means.hooks.run("after_run", replace(scene, switch=StopSwitch())):
            self._shipper.say(why)
        return outcome

    def _ground(self) -> Ground:
        own = self._means.root / "homes" / safe_name(self._a.command.agent)
        home = Path(self._a.agent.home) if self._a.agent.home else own
        home.mkdir(parents=True, exist_ok=True)
        return Ground(
            environment=self._means.environment,
            home=str(home),
            scratch=str(self._scratch),
            author=self._means.author,
        )

    def _stay(self, workspace: Workspace, spec: RunSpec) -> Stay:
        return Stay(
            run_id=self._a.command.run_id,
            program=spec.argv[0],
            search_path=spec.env.get("PATH", os.defpath),
            workspace=workspace,
            home=Path(spec.env["HOME"]),
            scratch=self._scratch,
            switch=self._switch,
            say=self._shipper.say,
        )

    def _scene(self, room: Room, spec: RunSpec, workspace: Workspace) -> Scene:
        async def read_target(file: str) -> str | None:
            return await self._means.workspaces.read_target(workspace.request, file)

        return Scene(
            run_id=self._a.command.run_id,
            worktree=workspace.path,
            scratch=self._scratch,
            env={**spec.env, **room.env},
            prefix=room.prefix,
            shell=room.shell,
            guard=room.guard,
            switch=self._switch,
            take=self._shipper.write,
            read_target=read_target,
        )


def _stopped(switch: StopSwitch) -> Outcome:
    if switch.reason is Stop.SHUTDOWN:
        return ended(OutcomeKind.CANCELLED, OutcomeReason.RUNNER_STOPPED, "stopped: its runner shuts down")
    return ended(OutcomeKind.CANCELLED, OutcomeReason.CANCELLED_BY_ENGINE, "stopped: no longer wanted")


def _secrets_of(agent: Agent, environment: Mapping[str, str]) -> set[str]:
    """Values an agent gets by variables whose names speak of secrets."""
    given = {**agent.env, **{name: environment[name] for name in agent.pass_env if name in environment}}
    words = ("KEY", "TOKEN", "SECRET", "PASSWORD")
    return {value for name, value in given.items() if any(word in name.upper() for word in words)}
