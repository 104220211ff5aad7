"""Effects on the task's branch on the forge, each looked at before it is done."""

from conveyor.contracts.commands import DeleteBranch, EnsureBranch
from conveyor.contracts.task import Task
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
        """Remove the branch of a task that is over, unless it is at work again or somebody has pushed to it since."""
        if not task.is_over:
            return
        repository = self._projects.project(command.project).repository
        stands_at = await self._forge.branch_sha(repository, command.branch)
        if stands_at is not None and command.head in ("", stands_at):
            await self._forge.delete_branch(repository, command.branch)
