"""Effects on the forge: the task's branch, and the one merge, each looked at before it is done."""

from conveyor.contracts.commands import DeleteBranch, EnsureBranch, Merge
from conveyor.contracts.errors import PermanentError
from conveyor.contracts.observed import MergeAnswer, MergeResult
from conveyor.contracts.task import Task
from conveyor.servicekit.backoff import delays
from conveyor.servicekit.clock import Clock
from conveyor.stage_engine.ports import Forge
from conveyor.stage_engine.projects import Projects


class BranchEffects:
    """Makes and removes branches."""

    def __init__(self, projects: Projects, forge: Forge) -> None:
        self._projects = projects
        self._forge = forge

    async def ensure(self, command: EnsureBranch, task: Task) -> None:
        """Make the task's branch; a task that is over needs none."""
        if task.is_over:
            return
        project = self._projects.project(command.project)
        await self._forge.ensure_branch(project.repository, command.branch, project.target_branch)

    async def delete(self, command: DeleteBranch, task: Task) -> None:
        """Remove the branch of a task that is over; one that is at work again keeps it."""
        if task.is_over:
            await self._forge.delete_branch(self._projects.project(command.project).repository, command.branch)


class MergeEffect:
    """Merges pull requests, one at a time in each repository: its queue is a lane, its right a lease (SE-16, SE-17)."""

    def __init__(self, projects: Projects, forge: Forge, clock: Clock, deadline_s: float) -> None:
        self._projects = projects
        self._forge = forge
        self._clock = clock
        self._deadline_s = deadline_s

    async def merge(self, command: Merge, task: Task) -> dict[str, str]:  # noqa: ARG002 # one signature for all
        """Merge unless it is merged already; PermanentError carries the reason when it cannot be."""
        repository = self._projects.project(command.project).repository
        until = self._clock.monotonic() + self._deadline_s
        for delay_s in delays(0.5, 10.0, command.command_id):
            pull = await self._forge.pull_request(repository, command.pull_request)
            if pull is None:
                raise PermanentError(f"pull request {command.pull_request} does not exist")
            if pull.merged:
                return {"merge_sha": pull.merge_sha}
            answer = await self._forge.merge(repository, command.pull_request, command.head)
            if answer.answer is MergeAnswer.MERGED:
                return {"merge_sha": answer.merge_sha}
            _refuse(command, answer)
            if self._clock.monotonic() + delay_s > until:
                raise PermanentError(
                    f"the forge did not get ready to merge in {self._deadline_s:.0f} s: {answer.reason}"
                )
            await self._clock.sleep(delay_s)
        raise AssertionError("unreachable: delays never end")


def _refuse(command: Merge, answer: MergeResult) -> None:
    match answer.answer:
        case MergeAnswer.HEAD_MOVED:
            raise PermanentError(f"the branch is no longer at {command.head[:12]}, which was tested")
        case MergeAnswer.CONFLICT:
            raise PermanentError(f"it conflicts with the target branch: {answer.reason}")
        case MergeAnswer.BLOCKED | MergeAnswer.GONE:
            raise PermanentError(answer.reason or str(answer.answer))
        case MergeAnswer.RETRY | MergeAnswer.MERGED:
            return
