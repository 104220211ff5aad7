"""The merge of the task at the head of its repository's queue (SE-16): brought up to date, checked there, merged.

Each look reads the world again and does the next thing that is missing, so that a crash anywhere repeats nothing:
what is merged is merged, a branch that holds the target is not updated, and the commit that may be merged is pinned.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
from msgspec import Struct

from conveyor.contracts import facts_ids, ids
from conveyor.contracts.commands import Merge
from conveyor.contracts.errors import PermanentError
from conveyor.contracts.events import BranchPushed
from conveyor.contracts.observed import CiState, MergeAnswer, MergeResult
from conveyor.contracts.project import Project
from conveyor.contracts.task import Task
from conveyor.servicekit import logs
from conveyor.servicekit.backoff import delays
from conveyor.servicekit.bus import Bucket, EventLog, TaskStore
from conveyor.servicekit.clock import Clock
from conveyor.stage_engine.effects.patience import pause
from conveyor.stage_engine.ports import Forge
from conveyor.stage_engine.projects import Projects
from conveyor.stage_engine.settings import EngineSettings
from conveyor.stage_engine.telling import header

log = logs.get("merging")
PIN_TTL_S = 7 * 86_400
_RED = ("failure", "error", "warning")


@dataclass(frozen=True)
class Yard:
    """What merges stand on."""

    forge: Forge
    clock: Clock
    settings: EngineSettings
    events: EventLog
    tasks: TaskStore
    pins: Bucket
    stopping: asyncio.Event


class MergeEffect:
    """Merges pull requests; that it is one at a time in each repository is seen to by lane and lease (SE-17)."""

    def __init__(self, projects: Projects, yard: Yard) -> None:
        self._projects = projects
        self._yard = yard

    async def merge(self, command: Merge, task: Task) -> dict[str, str] | None:  # noqa: ARG002 # one signature for all
        """Merge unless it is merged already; None when nobody wants it any more.

        PermanentError carries the reason why it cannot be: a conflict, CI that is red on the commit brought up to
        date, a push by somebody else, a refusal of the forge, or one of the two deadlines.
        """
        turn = _Turn(self._yard, self._projects.project(command.project), command)
        return await turn.run()


class _Pin(Struct, frozen=True, omit_defaults=True):
    """The commit that may be merged, kept for the time after a crash."""

    head: str
    says: tuple[str, ...] = ()
    """What its commits say of themselves, while it is not known what came of bringing it up to date."""


class _Turn:
    """One task's turn at the head of the queue."""

    def __init__(self, yard: Yard, project: Project, command: Merge) -> None:
        self._yard, self._forge = yard, yard.forge
        self._project, self._repository = project, project.repository
        self._command = command
        self._pin = _Pin(command.head)
        self._waits: dict[str, tuple[float, Iterator[float]]] = {}
        self._delay_s = 0.0

    async def run(self) -> dict[str, str] | None:
        """Look until it is merged, refused, or no longer wanted."""
        if entry := await self._yard.pins.get(self._pin_name):
            self._pin = msgspec.json.decode(entry.value, type=_Pin)
        while await self._is_wanted():
            if merge_sha := await self._look_or_merged():
                return {"merge_sha": merge_sha, "head": self._pin.head}
            await pause(self._yard.clock, self._yard.stopping, self._delay_s)
        log.info("leaves the merge queue: nobody waits for it", task=self._command.key)
        return None

    async def _is_wanted(self) -> bool:
        stored = await self._yard.tasks.load(self._command.project, self._command.key)
        return stored is not None and stored.record.task.awaiting == self._command.command_id

    async def _look_or_merged(self) -> str:
        """Look; what is refused may be merged by now, by a call whose owner lost its lease or its life meanwhile."""
        try:
            return await self._look()
        except PermanentError:
            pull = await self._forge.pull_request(self._repository, self._command.pull_request)
            if pull is None or not pull.merged:
                raise
            return pull.merge_sha or pull.head_sha

    async def _look(self) -> str:
        """Do what is missing; return the merge commit, or nothing when there is something to wait for."""
        pull = await self._forge.pull_request(self._repository, self._command.pull_request)
        if pull is None:
            raise PermanentError(f"pull request {self._command.pull_request} does not exist")
        if pull.merged:
            return pull.merge_sha or pull.head_sha
        if not pull.is_open:
            raise PermanentError(f"pull request {pull.number} is closed")
        await self._trust(pull.head_sha)
        if await self._forge.compare_changed(self._repository, self._pin.head, self._project.target_branch):
            await self._update()
        if await self._is_green() and await self._is_wanted():  # a look may be long, and a merge cannot be taken back
            return await self._merge()
        return ""

    # --- the commit that may be merged ------------------------------------------------------------------------------

    async def _trust(self, head: str) -> None:
        """Go on only with the commit that was judged, or with what our own update made of it."""
        if head == self._pin.head:
            return
        if not self._pin.says or not set(await self._says(head)) <= set(self._pin.says):
            raise PermanentError(f"the branch is no longer at {self._pin.head[:12]}, which was judged")
        before = self._pin.head
        await self._tell(before, head)
        await self._keep(_Pin(head))
        self._waits.clear()
        log.info("brought up to date", task=self._command.key, before=before, head=head)

    async def _says(self, head: str) -> tuple[str, ...]:
        """Return what a commit's branch brings beside the target, by author, time and message.

        An update keeps it, or leaves out what the target has got otherwise meanwhile; it adds nothing.
        """
        names = await self._forge.commits_beyond(self._repository, self._project.target_branch, head)
        if names is None:
            raise PermanentError(f"commit {head[:12]} is gone from the forge")
        return tuple(map(ids.digest, names))

    async def _update(self) -> None:
        await self._keep(_Pin(self._pin.head, says=await self._says(self._pin.head)))
        number, target = self._command.pull_request, self._project.target_branch
        if not await self._forge.update_branch(self._repository, number, self._project.merge_update):
            raise PermanentError(f"it conflicts with {target}")
        pull = await self._forge.pull_request(self._repository, number)
        if pull is not None:
            await self._trust(pull.head_sha)
        await self._refuse_empty()

    async def _tell(self, before: str, head: str) -> None:
        """Let the task know its new head, under the name that gateway and reconciler would give the fact."""
        command, now = self._command, self._yard.clock.now()
        fact_id = facts_ids.branch_pushed(self._repository, command.branch, before, head)
        event = BranchPushed(**header(command, fact_id, now), branch=command.branch, sha=head, before=before)
        await self._yard.events.publish(event)

    async def _keep(self, pin: _Pin) -> None:
        await self._yard.pins.put(self._pin_name, msgspec.json.encode(pin), ttl_s=PIN_TTL_S)
        self._pin = pin

    @property
    def _pin_name(self) -> str:
        return f"merge.{self._command.command_id}"

    # --- its checks, and the merge ----------------------------------------------------------------------------------

    async def _is_green(self) -> bool:
        if not self._project.ci:
            return True
        status = await self._forge.ci_status(self._repository, self._pin.head, self._project.required_contexts)
        short, target = self._pin.head[:12], self._project.target_branch
        if status.state is CiState.RED:
            red = ", ".join(name for name, state in status.contexts.items() if state in _RED)
            raise PermanentError(f"CI of {short}, which holds {target}, is red: {red or 'see the forge'}")
        if status.state is not CiState.GREEN:
            self._wait("CI", f"CI of {short} has not finished", self._yard.settings.merge_ci_deadline_s)
            return False
        return True

    async def _merge(self) -> str:
        answer = await self._forge.merge(self._repository, self._command.pull_request, self._pin.head)
        settings = self._yard.settings
        match answer.answer:
            case MergeAnswer.MERGED:
                return answer.merge_sha or self._pin.head
            case MergeAnswer.CHECKS:
                self._wait("required checks", answer.reason, settings.merge_ci_deadline_s)
            case MergeAnswer.RETRY:
                await self._refuse_empty()
                self._wait("the forge", f"the forge does not merge it: {answer.reason}", settings.merge_deadline_s)
            case _:
                raise PermanentError(self._refusal(answer))
        return ""

    def _refusal(self, answer: MergeResult) -> str:
        match answer.answer:
            case MergeAnswer.HEAD_MOVED:
                return f"the branch is no longer at {self._pin.head[:12]}, which was judged"
            case MergeAnswer.CONFLICT:
                return f"it conflicts with {self._project.target_branch}: {answer.reason}"
            case _:
                return answer.reason or str(answer.answer)

    async def _refuse_empty(self) -> None:
        """A pull request that brings nothing gets the same answer as one that is being checked, for ever."""
        target = self._project.target_branch
        if not await self._forge.compare_changed(self._repository, target, self._pin.head):
            raise PermanentError(f"the branch holds nothing that {target} has not")

    def _wait(self, what: str, reason: str, limit_s: float) -> None:
        """Have the next look later, with backoff; PermanentError when it was waited for long enough."""
        now_s = self._yard.clock.monotonic()
        seed = f"{self._command.command_id}/{what}"
        began_s, waits = self._waits.setdefault(what, (now_s, delays(0.25, self._yard.settings.merge_poll_s, seed)))
        self._delay_s = next(waits)
        if now_s + self._delay_s > began_s + limit_s:
            raise PermanentError(f"{reason} (waited for {limit_s:.0f} s)")
