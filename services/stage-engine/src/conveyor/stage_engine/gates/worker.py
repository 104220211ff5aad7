"""The gates loop: takes an EvaluateGate, looks at the facts, publishes what it found under the command's own id."""

from conveyor.contracts import codec, ids
from conveyor.contracts.commands import EvaluateGate
from conveyor.contracts.errors import PermanentError
from conveyor.contracts.events import CheckResult, GateEvaluated
from conveyor.contracts.task import Waiting
from conveyor.servicekit import logs
from conveyor.servicekit.bus import Delivery, EventLog, TaskStore
from conveyor.stage_engine.gates.context import Context, Ground, failed
from conveyor.stage_engine.gates.registry import evaluate
from conveyor.stage_engine.projects import Projects
from conveyor.stage_engine.telling import header

log = logs.get("gates")


class GateWorker:
    """Evaluates gates."""

    def __init__(self, events: EventLog, tasks: TaskStore, projects: Projects, ground: Ground) -> None:
        self._events = events
        self._tasks = tasks
        self._projects = projects
        self._ground = ground

    async def __call__(self, delivery: Delivery) -> None:
        """Answer one EvaluateGate; one that the task no longer waits for is dropped.

        What cannot be looked at is an answer too: a command that merely died would leave its task waiting in silence.
        """
        command = codec.decode_command(delivery.body)
        if not isinstance(command, EvaluateGate):
            raise PermanentError(f"expected EvaluateGate on {delivery.subject}, not {type(command).__name__}")
        if not await self._wanted(command):
            log.info("drops a gate nobody waits for", task=command.key, command_id=command.command_id)
            return
        try:
            sha, results = await self._look(command)
        except PermanentError as error:
            log.error("gate not looked at", task=command.key, command_id=command.command_id, error=str(error))  # noqa: TRY400 # told to people with its reason
            sha, results = command.sha, (failed(next(iter(command.checks), ""), str(error)),)
        await self._events.publish(self._answer(command, sha, results))

    async def _wanted(self, command: EvaluateGate) -> bool:
        stored = await self._tasks.load(command.project, command.key)
        task = stored.record.task if stored else None
        if task is None or task.waiting is not Waiting.GATE or task.gate is None:
            return False
        return task.gate.gate_id == command.command_id

    async def _look(self, command: EvaluateGate) -> tuple[str, tuple[CheckResult, ...]]:
        project = self._projects.project(command.project)
        sha = command.sha or await self._ground.forge.branch_sha(project.repository, command.branch) or ""
        context = Context(command=command, project=project, sha=sha, ground=self._ground)
        return sha, await evaluate(context)

    def _answer(self, command: EvaluateGate, sha: str, results: tuple[CheckResult, ...]) -> GateEvaluated:
        event_id = ids.digest("engine", command.command_id, "evaluated")
        return GateEvaluated(
            **header(command, event_id, self._ground.clock.now()),
            gate_id=command.command_id,
            sha=sha,
            results=results,
        )
