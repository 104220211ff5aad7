"""A runner without agents: takes run commands from the bus, leaves what a test ordered on the forge, and reports."""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from msgspec import structs

from conveyor.contracts import codec
from conveyor.contracts.commands import StartRun
from conveyor.contracts.events import Origin, RunFinished, RunStarted
from conveyor.contracts.ids import digest
from conveyor.contracts.outcomes import Outcome, OutcomeKind, OutcomeReason, Usage
from conveyor.contracts.task import Waiting
from conveyor.servicekit.bus import ConsumerSpec, Delivery, EventLog, TaskStore, consume
from conveyor.simulator.gitea.world import Repo
from tests.rigs.house import FORGE_BOT, REPO, House

SUCCEEDED = Outcome(kind=OutcomeKind.SUCCEEDED, reason=OutcomeReason.FINISHED, changed=True, usage=Usage(cost_usd=0.1))
RATE_LIMITED = Outcome(kind=OutcomeKind.TRANSIENT, reason=OutcomeReason.RATE_LIMITED, detail="come back later")
CRASHED = Outcome(kind=OutcomeKind.FAILED, reason=OutcomeReason.EXIT_CODE, detail="exit code 1")


@dataclass(frozen=True)
class Play:
    """What one run leaves: documents by name, code by path from the root, and how it ends."""

    documents: Mapping[str, str] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)
    outcome: Outcome = SUCCEEDED
    never_ends: bool = False


def front_matter(line: str, body: str = "Looked at everything.") -> str:
    """A document that opens with one line of front matter."""
    return f"---\n{line}\n---\n{body}\n"


USUAL = {
    "analyst": Play({"01-analysis.md": "# Analysis\n"}),
    "architect": Play({"05-architecture.md": "# Architecture\n"}),
    "developer": Play(code={"tea.py": "print('tea')\n"}),
    "reviewer": Play({"12-review.md": front_matter("verdict: APPROVED")}),
    "tester": Play({"13-test-report.md": front_matter("status: PASS")}),
    "deployer": Play({"14-deploy-log.md": front_matter("status: SUCCESS")}),
}


class StandInRunner:
    """Plays roles; `will` orders the next plays of one, afterwards the usual one follows."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._orders: defaultdict[str, deque[Play]] = defaultdict(deque)
        self.taken: list[StartRun] = []
        """Every command it acted upon, in order."""

    def will(self, role: str, *plays: Play) -> None:
        """Order the next plays of a role."""
        self._orders[role].extend(plays)

    async def __call__(self, delivery: Delivery) -> None:
        """Play one run, unless the task waits for another by now."""
        command = codec.decode_command(delivery.body)
        assert isinstance(command, StartRun)
        if not await self._is_wanted(command):
            return
        self.taken.append(command)
        orders = self._orders[command.role]
        play = orders.popleft() if orders else USUAL[command.role]
        events, now = EventLog(self._house.bus), self._house.plane.clock.now()
        told = {
            "project": command.project,
            "key": command.key,
            "source": "runner",
            "origin": Origin.RUNNER,
            "trace_id": command.trace_id,
            "run_id": command.run_id,
        }
        began = digest("runner", command.run_id, "started")
        await events.publish(RunStarted(event_id=began, at=now, received_at=now, runner_id="stand-in", **told))
        if play.never_ends:
            return
        outcome, now = await self._work(command, play), self._house.plane.clock.now()
        ended = digest("runner", command.run_id, "finished")
        await events.publish(RunFinished(event_id=ended, at=now, received_at=now, outcome=outcome, **told))

    async def _is_wanted(self, command: StartRun) -> bool:
        stored = await TaskStore(self._house.bus).load(command.project, command.key)
        task = stored.record.task if stored else None
        run = task.run if task and task.waiting is Waiting.RUN else None
        return run is not None and run.run_id == command.run_id

    async def _work(self, command: StartRun, play: Play) -> Outcome:
        gitea = self._house.gitea
        files: dict[str, str | None] = {f"{command.docs_dir}/{name}": text for name, text in play.documents.items()}
        for name in command.clears:
            path = f"{command.docs_dir}/{name}"
            if path not in files and await gitea.read_file(REPO, command.branch, path) is not None:
                files[path] = None
        files |= play.code
        head = gitea.branch_sha(REPO, command.branch) or ""
        if files:
            head = await gitea.push(REPO, command.branch, files, by=FORGE_BOT, message=command.run_id)
        pull = await self._pull_request(command) if command.opens_pull_request and files else 0
        return structs.replace(play.outcome, head=head, pull_request=pull, session_id=f"session-{command.role}")

    async def _pull_request(self, command: StartRun) -> int:
        repo: Repo = self._house.gitea.repo(REPO)
        for pull in repo.open_pulls():
            if pull.head == command.branch:
                return pull.number
        return (await self._house.gitea.open_pull(REPO, command.branch, title=command.title, by=FORGE_BOT)).number


@asynccontextmanager
async def running(house: House) -> AsyncIterator[StandInRunner]:
    """A runner that takes every run of the house until the block ends."""
    runner, stopping = StandInRunner(house), asyncio.Event()
    spec = ConsumerSpec(stream="COMMANDS", durable="stand-in-runner", subjects=("command.run.>",))
    life = asyncio.create_task(consume(house.bus, spec, runner, concurrency=8, stopping=stopping))
    try:
        yield runner
    finally:
        stopping.set()
        await life
