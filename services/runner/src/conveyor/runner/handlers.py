"""The shell around a run: check the command against the task as it is, claim it, carry it out, report it once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import msgspec
from msgspec import Struct

from conveyor.contracts import codec, subjects
from conveyor.contracts.commands import StartRun
from conveyor.contracts.errors import PermanentError, TransientError
from conveyor.contracts.outcomes import Outcome, OutcomeKind, OutcomeReason
from conveyor.contracts.project import Project
from conveyor.runner import reports
from conveyor.runner.assignment import Assignment, Means
from conveyor.runner.breakers import Breakers
from conveyor.runner.caps import Caps
from conveyor.runner.claims import Claim, Claims
from conveyor.runner.core.agent import Agent
from conveyor.runner.live import LiveRuns
from conveyor.runner.one_run import carry_out
from conveyor.runner.preflight import Preflight
from conveyor.runner.process import Stop, StopSwitch, sweep
from conveyor.runner.scratch import remove_scratch, scratch_of
from conveyor.servicekit import logs
from conveyor.servicekit.backoff import delays
from conveyor.servicekit.bus import Bus, Delivery, EventLog, Leave, TaskStore, control
from conveyor.servicekit.clock import Clock
from conveyor.servicekit.metrics import Metrics

T = TypeVar("T")
PREFLIGHT_RETRY_S = 15.0
CANCEL = b"cancel"
_NEVER_CALLED = Outcome(kind=OutcomeKind.CANCELLED, reason=OutcomeReason.RUNNER_STOPPED)
"""What a run is to a breaker whose account it never called: the end of a probe, no more."""
_log = logs.get("runner")


class Alive(Struct, frozen=True, kw_only=True):
    """What the owner of a run answers on its control subject."""

    run_id: str
    runner_id: str
    stopping: str = ""
    """Why it is being stopped; empty while it is not."""


class Figures:
    """What a runner counts."""

    def __init__(self, metrics: Metrics) -> None:
        self.runs = metrics.counter("runs_total", "Runs that ended", ["kind", "reason"])
        self.busy = metrics.gauge("busy", "Runs in hand")


class Desk(Struct, frozen=True, kw_only=True):
    """Where the handler reads and writes."""

    bus: Bus
    events: EventLog
    tasks: TaskStore
    claims: Claims
    live: LiveRuns
    breakers: Breakers
    caps: Caps
    alert: Callable[[StartRun, str], Awaitable[None]]
    """Tells people, once a text."""
    clock: Clock
    figures: Figures


class Known(Struct, frozen=True, kw_only=True):
    """What is configured here, by name."""

    projects: Mapping[str, Project]
    agents: Mapping[str, Agent]


class RunHandler:
    """Takes run commands. Raises Leave when another owner holds the run: neither acknowledge nor refuse (rule 5)."""

    def __init__(self, desk: Desk, means: Means, known: Known, preflight: Preflight) -> None:
        self._desk = desk
        self._means = means
        self._projects = known.projects
        self._agents = known.agents
        self._preflight = preflight
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
        return self._desk.breakers.paused

    def is_busy(self, project: str, key: str) -> bool:
        """Whether a run of this task is in hand."""
        return (project, key) in self._tasks_at_work.values()

    def stop_all(self, why: Stop) -> None:
        """Stop every run in hand; their outcomes are reported as ever."""
        for switch in self._switches.values():
            switch.stop(why)

    async def __call__(self, delivery: Delivery) -> None:
        """Bring one run command to its outcome."""
        command = codec.decode_command(delivery.body)
        if not isinstance(command, StartRun):
            raise PermanentError(f"expected StartRun on {delivery.subject}, got {type(command).__name__}")
        with logs.bind(task=command.key, run_id=command.run_id, trace_id=command.trace_id):
            await self._take(command, is_first=delivery.delivered == 1)

    async def recover(self) -> None:
        """Clear up what an earlier life of this runner left: kill its processes, report what it still owes."""
        for claim, outcome in self._desk.live.left():
            run_id = claim.record.run_id
            killed = await asyncio.to_thread(sweep, run_id, str(scratch_of(self._means.root, run_id)))
            await asyncio.to_thread(remove_scratch, self._means.root, run_id)
            _log.info("run of an earlier life", run_id=run_id, killed=killed, owed=outcome is not None)
            await self._settle(claim, outcome or _lost(claim))
            self._desk.live.forget(run_id)

    async def _take(self, command: StartRun, *, is_first: bool) -> None:
        if command.run_id in self._switches:
            raise Leave(f"{command.run_id} is in our own hands")
        if not is_first and await self._desk.claims.find(command.run_id) is not None:
            await self._settle_redelivered(command)
            return
        if not await self._is_current(command):
            _log.debug("dropped: no longer the task's current run")
            return
        if command.agent in self._agents and (problem := await self._preflight.problem(command.agent)):
            raise TransientError(f"agent {command.agent}: {problem}", retry_after_s=PREFLIGHT_RETRY_S)
        async with self._desk.caps.places(self._names(command)):
            await self._desk.breakers.admit(self._account(command), command.run_id)
            await self._hold(command)

    async def _hold(self, command: StartRun) -> None:
        """Have the run in hand until its end."""
        switch = self._switches[command.run_id] = StopSwitch()
        self._tasks_at_work[command.run_id] = (command.project, command.key)
        self._note_load()
        try:
            was_free = await self._claim_and_run(command, switch)
        finally:
            del self._switches[command.run_id], self._tasks_at_work[command.run_id]
            self._note_load()
            self.on_end()
        if not was_free:
            await self._settle_redelivered(command)

    def _names(self, command: StartRun) -> dict[str, str]:
        """Return whatever there may be a cap on."""
        project = self._projects.get(command.project)
        return {
            "project": command.project,
            "repository": project.repository if project else "",
            "stage": command.stage,
            "agent": command.agent,
            "pool": command.pool,
        }

    def _account(self, command: StartRun) -> str:
        agent = self._agents.get(command.agent)
        return (agent.account if agent else "") or command.agent

    def _note_load(self) -> None:
        self._desk.figures.busy.set(len(self._switches))
        if self._switches:
            self.idle.clear()
        else:
            self.idle.set()

    async def _claim_and_run(self, command: StartRun, switch: StopSwitch) -> bool:
        """Run the command unless it was claimed before, which False says."""
        # The subject is served before the claim is made: whoever finds the claim finds its owner.
        subject = subjects.run_control(command.run_id)
        end = await control.serve(self._desk.bus, subject, self._answer(command, switch))
        try:
            claim = await self._desk.claims.take(command, self._desk.clock.now())
            if claim is not None:
                await self._run(claim, command, switch)
        finally:
            await end()
        return claim is not None

    async def _is_current(self, command: StartRun) -> bool:
        stored = await self._desk.tasks.load(command.project, command.key)
        if stored is None:
            return False
        task = stored.record.task
        if task.revision < command.revision:
            raise TransientError(f"{command.key} is at revision {task.revision}, the command is of {command.revision}")
        return task.run is not None and task.run.run_id == command.run_id

    async def _run(self, claim: Claim, command: StartRun, switch: StopSwitch) -> None:
        self._desk.live.note(claim)
        started = reports.started(claim.record)
        await self._insist(lambda: self._desk.events.publish(started))
        _log.info("run begins", role=command.role, agent=command.agent, attempt=command.attempt)

        async def still_ours() -> None:
            if not await self._insist(lambda: self._desk.claims.holds(claim)):
                raise Leave(f"{command.run_id} was given to another")

        outcome = await self._outcome(command, switch, still_ours)
        self._desk.live.note(claim, outcome)
        settled = await self._settle(claim, outcome)
        self._desk.live.forget(command.run_id)
        if not settled:
            raise Leave(f"{command.run_id} was declared lost meanwhile")
        _log.info("run ended", kind=outcome.kind, reason=outcome.reason, detail=outcome.detail, head=outcome.head)

    async def _outcome(
        self, command: StartRun, switch: StopSwitch, still_ours: Callable[[], Awaitable[None]]
    ) -> Outcome:
        project, agent = self._projects.get(command.project), self._agents.get(command.agent)
        if project is None:
            return _cannot(f"project {command.project!r} is not configured on runner {self._desk.claims.runner_id}")
        if agent is None:
            known = ", ".join(sorted(self._agents)) or "none"
            return _cannot(f"agent {command.agent!r} is not configured on this runner; configured: {known}")
        told: list[Outcome] = []

        async def agent_ended(outcome: Outcome) -> None:
            told.append(outcome)
            await self._tell_breaker(command, outcome)

        outcome = await carry_out(
            self._means,
            Assignment(
                command=command, project=project, agent=agent, switch=switch, still_ours=still_ours,
                agent_ended=agent_ended,
            ),
        )  # fmt: skip
        if not told:
            await self._tell_breaker(command, _NEVER_CALLED)
        return outcome

    async def _tell_breaker(self, command: StartRun, outcome: Outcome) -> None:
        account = self._account(command)
        opened = await self._desk.breakers.note(account, command.run_id, outcome)
        if opened is None:
            return
        until = f"until {opened.open_until:%Y-%m-%d %H:%M:%S} UTC"
        _log.error("agent account is paused", account=account, until=until, reason=opened.why)
        await self._desk.alert(command, f"Agent account {account} is paused {until}: {opened.why}")

    async def _settle(self, claim: Claim, outcome: Outcome) -> bool:
        """Settle the claim and tell the engine; False when somebody else settled it. Insists until the bus answers."""
        settled = await self._insist(lambda: self._desk.claims.finish(claim, outcome))
        if settled is None:
            return False
        event = reports.finished(claim.record, settled, self._desk.clock)
        await self._insist(lambda: self._desk.events.publish(event))
        self._desk.figures.runs.labels(settled.kind, settled.reason).inc()
        return True

    async def _settle_redelivered(self, command: StartRun) -> None:
        """The run was taken before: say again what came of it, leave it to a living owner, or declare it lost."""
        claim = await self._desk.claims.find(command.run_id)
        if claim is None:
            raise TransientError(f"the claim of {command.run_id} cannot be read yet")
        if claim.record.outcome is None:
            if await control.ask(self._desk.bus, subjects.run_control(command.run_id), b"status") is not None:
                raise Leave(f"{command.run_id} is alive on {claim.record.runner_id}")
            _log.warning("run is lost", runner=claim.record.runner_id)
            await self._tell_breaker(command, _lost(claim))
        if not await self._settle(claim, claim.record.outcome or _lost(claim)):
            raise TransientError(f"{command.run_id} was settled by another meanwhile", retry_after_s=1.0)

    def _answer(self, command: StartRun, switch: StopSwitch) -> Callable[[bytes], bytes]:
        def answer(question: bytes) -> bytes:
            if question == CANCEL:
                switch.stop(Stop.CANCELLED)
            return msgspec.json.encode(
                Alive(run_id=command.run_id, runner_id=self._desk.claims.runner_id, stopping=switch.reason or "")
            )

        return answer

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return what the bus answers, however long it is away: what is owed here cannot be given back."""
        for wait_s in delays(0.25, 10.0, self._desk.claims.runner_id):
            try:
                return await call()
            except TransientError as error:
                _log.warning("the bus does not answer, trying again", reason=str(error))
                await self._desk.clock.sleep(wait_s)
        raise AssertionError("delays never end")


def _lost(claim: Claim) -> Outcome:
    return Outcome(
        kind=OutcomeKind.LOST,
        reason=OutcomeReason.RUNNER_DIED,
        detail=f"runner {claim.record.runner_id} died or was cut off while it ran",
        log_subject=subjects.log(claim.record.project, claim.record.key, claim.record.run_id),
    )


def _cannot(detail: str) -> Outcome:
    return Outcome(kind=OutcomeKind.FAILED, reason=OutcomeReason.LAUNCH_FAILED, detail=detail)
