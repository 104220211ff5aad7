"""The shell around a run: check the command against the task as it is, claim it, carry it out, report it once."""

import asyncio
from collections.abc import Callable, Mapping

import msgspec
from msgspec import Struct

from conveyor.contracts import codec, subjects
from conveyor.contracts.commands import StartRun
from conveyor.contracts.errors import PermanentError, TransientError
from conveyor.contracts.outcomes import Outcome, OutcomeKind, OutcomeReason
from conveyor.contracts.project import Project
from conveyor.runner.accounts import NEVER_CALLED, Accounts
from conveyor.runner.assignment import Assignment, Means, ended
from conveyor.runner.books import Books, lost
from conveyor.runner.caps import Caps
from conveyor.runner.claims import Claim
from conveyor.runner.core.agent import Agent
from conveyor.runner.one_run import carry_out
from conveyor.runner.preflight import Preflight
from conveyor.runner.process import Stop, StopSwitch, sweep
from conveyor.runner.scratch import remove_scratch, scratch_of
from conveyor.servicekit import logs
from conveyor.servicekit.bus import Bus, Delivery, Leave, TaskStore, control

PREFLIGHT_RETRY_S = 15.0
CANCEL = b"cancel"
_log = logs.get("runner")


class Alive(Struct, frozen=True, kw_only=True):
    """What the owner of a run answers on its control subject."""

    run_id: str
    runner_id: str
    stopping: str = ""
    """Why it is being stopped; empty while it is not."""


class Desk(Struct, frozen=True, kw_only=True):
    """What stands between a command and its run."""

    bus: Bus
    tasks: TaskStore
    books: Books
    accounts: Accounts
    caps: Caps
    preflight: Preflight
    stopping: asyncio.Event
    """Set when nothing more is to be begun."""
    show_load: Callable[[int], None]
    """Told how many runs are in hand."""


class Known(Struct, frozen=True, kw_only=True):
    """What is configured here, by name."""

    projects: Mapping[str, Project]
    agents: Mapping[str, Agent]


class RunHandler:
    """Takes run commands. Raises Leave when another owner holds the run: neither acknowledge nor refuse (rule 5)."""

    def __init__(self, desk: Desk, means: Means, known: Known) -> None:
        self._desk = desk
        self._means = means
        self._known = known
        self._books = desk.books
        self._switches: dict[str, StopSwitch] = {}
        self._tasks_at_work: dict[str, tuple[str, str]] = {}
        self.idle = asyncio.Event()
        """Set while nothing is in hand."""
        self.idle.set()
        self.on_end: Callable[[], None] = lambda: None
        """Called whenever a run is out of hand."""

    @property
    def runs(self) -> tuple[str, ...]:
        """The runs in hand."""
        return tuple(self._switches)

    def paused(self) -> dict[str, str]:
        """Return why runs of agents' accounts wait, by account."""
        return self._desk.accounts.paused

    def is_busy(self, project: str, key: str) -> bool:
        """Whether a run of this task is in hand."""
        return (project, key) in self._tasks_at_work.values()

    def stop_all(self, why: Stop) -> None:
        """Stop every run in hand; their outcomes are reported as ever."""
        for switch in self._switches.values():
            switch.stop(why)

    async def recover(self) -> None:
        """Clear up what an earlier life of this runner left: kill its processes, report what it still owes."""
        for claim, outcome in self._books.left():
            run_id, root = claim.record.run_id, self._means.root
            killed = await asyncio.to_thread(sweep, run_id, str(scratch_of(root, run_id)))
            await asyncio.to_thread(remove_scratch, root, run_id)
            _log.info("run of an earlier life", run_id=run_id, killed=killed, owed=outcome is not None)
            await self._books.clear(claim, outcome)

    async def __call__(self, delivery: Delivery) -> None:
        """Bring one run command to its outcome."""
        command = codec.decode_command(delivery.body)
        if not isinstance(command, StartRun):
            raise PermanentError(f"expected StartRun on {delivery.subject}, got {type(command).__name__}")
        with logs.bind(task=command.key, run_id=command.run_id, trace_id=command.trace_id):
            if delivery.delivered > 1 and await self._books.claims.find(command.run_id) is not None:
                await self._say_again(command)
            elif await self._is_current(command):
                await self._take(command)
            else:
                _log.debug("dropped: no longer the task's current run")

    async def _is_current(self, command: StartRun) -> bool:
        stored = await self._desk.tasks.load(command.project, command.key)
        if stored is None:
            return False
        task = stored.record.task
        if task.revision < command.revision:
            raise TransientError(f"{command.key} is at revision {task.revision}, the command is of {command.revision}")
        return task.run is not None and task.run.run_id == command.run_id

    async def _take(self, command: StartRun) -> None:
        """Have the run in hand as soon as its agent can start, there is a place for it, and its account may be called.

        TransientError until then: the command waits in its queue, and others are tried.
        """
        is_known = command.agent in self._known.agents
        if is_known and (problem := await self._desk.preflight.problem(command.agent)):
            raise TransientError(f"agent {command.agent}: {problem}", retry_after_s=PREFLIGHT_RETRY_S)
        async with self._desk.caps.places(self._names(command)):
            await self._desk.accounts.admit(command)
            if not await self._hold(command):
                await self._say_again(command)

    def _names(self, command: StartRun) -> dict[str, str]:
        """Return whatever there may be a cap on."""
        project = self._known.projects.get(command.project)
        return {
            "project": command.project,
            "repository": project.repository if project else "",
            "stage": command.stage,
            "agent": command.agent,
            "pool": command.pool,
        }

    async def _hold(self, command: StartRun) -> bool:
        """Have the run in hand until its end; False when it was claimed before."""
        if command.run_id in self._switches:
            raise Leave(f"{command.run_id} is in our own hands")
        if self._desk.stopping.is_set():
            raise TransientError("this runner stops: the command is another's")
        switch = self._switches[command.run_id] = StopSwitch()
        self._tasks_at_work[command.run_id] = (command.project, command.key)
        self._note_load()
        try:
            return await self._claim_and_run(command, switch)
        finally:
            del self._switches[command.run_id], self._tasks_at_work[command.run_id]
            self._note_load()
            self.on_end()

    def _note_load(self) -> None:
        self._desk.show_load(len(self._switches))
        if self._switches:
            self.idle.clear()
        else:
            self.idle.set()

    async def _claim_and_run(self, command: StartRun, switch: StopSwitch) -> bool:
        # The subject is served before the claim is made: whoever finds the claim finds its owner.
        subject = subjects.run_control(command.run_id)
        end = await control.serve(self._desk.bus, subject, self._answer(command, switch))
        try:
            claim = await self._books.claims.take(command, self._means.clock.now())
            if claim is not None:
                await self._run(claim, command, switch)
        finally:
            await end()
        return claim is not None

    def _answer(self, command: StartRun, switch: StopSwitch) -> Callable[[bytes], bytes]:
        def answer(question: bytes) -> bytes:
            if question == CANCEL:
                switch.stop(Stop.CANCELLED)
            runner_id = self._books.claims.runner_id
            return msgspec.json.encode(Alive(run_id=command.run_id, runner_id=runner_id, stopping=switch.reason or ""))

        return answer

    async def _run(self, claim: Claim, command: StartRun, switch: StopSwitch) -> None:
        await self._books.begin(claim)
        _log.info("run begins", role=command.role, agent=command.agent, attempt=command.attempt)
        outcome = await self._outcome(claim, command, switch)
        await self._books.end(claim, outcome)
        _log.info("run ended", kind=outcome.kind, reason=outcome.reason, detail=outcome.detail, head=outcome.head)

    async def _outcome(self, claim: Claim, command: StartRun, switch: StopSwitch) -> Outcome:
        project, agent = self._known.projects.get(command.project), self._known.agents.get(command.agent)
        if project is None:
            return _cannot(f"project {command.project!r} is not configured on runner {claim.record.runner_id}")
        if agent is None:
            known = ", ".join(sorted(self._known.agents)) or "none"
            return _cannot(f"agent {command.agent!r} is not configured on this runner; configured: {known}")
        told: list[Outcome] = []

        async def agent_ended(outcome: Outcome) -> None:
            told.append(outcome)
            await self._desk.accounts.tell(command, outcome)

        outcome = await carry_out(
            self._means,
            Assignment(
                command=command,
                project=project,
                agent=agent,
                switch=switch,
                still_ours=lambda: self._books.check(claim),
                agent_ended=agent_ended,
            ),
        )
        if not told:
            await self._desk.accounts.tell(command, NEVER_CALLED)
        return outcome

    async def _say_again(self, command: StartRun) -> None:
        """The run was taken before: say again what came of it, leave it to a living owner, or declare it lost."""
        claim = await self._books.claims.find(command.run_id)
        if claim is None:
            raise TransientError(f"the claim of {command.run_id} cannot be read yet")
        if claim.record.outcome is None:
            if await control.ask(self._desk.bus, subjects.run_control(command.run_id), b"status") is not None:
                raise Leave(f"{command.run_id} is alive on {claim.record.runner_id}")
            _log.warning("run is lost", runner=claim.record.runner_id)
            await self._desk.accounts.tell(command, lost(claim))
        if not await self._books.settle(claim, claim.record.outcome or lost(claim)):
            raise TransientError(f"{command.run_id} was settled by another meanwhile", retry_after_s=1.0)


def _cannot(detail: str) -> Outcome:
    return ended(OutcomeKind.FAILED, OutcomeReason.LAUNCH_FAILED, detail)
