"""How a run begins: money left, worktree ready, session known, prompt written; or the outcome of one that cannot."""

from msgspec import Struct
from msgspec.structs import replace

from conveyor.contracts.commands import StartRun
from conveyor.contracts.errors import PermanentError, TransientError
from conveyor.contracts.outcomes import Outcome, OutcomeKind, OutcomeReason, Usage
from conveyor.contracts.spending import day_of
from conveyor.runner.assignment import Assignment, Means, ended
from conveyor.runner.core.money import spent_budget
from conveyor.runner.core.plan import docs_dir, with_conflicts
from conveyor.runner.evidence import clear
from conveyor.runner.prompts import override_path, prompt_for
from conveyor.runner.workspace import Request, Workspace
from conveyor.servicekit.backoff import delays, retry


class Begun(Struct, frozen=True, kw_only=True):
    """What the agent starts with."""

    workspace: Workspace
    prompt: str
    command: StartRun
    """As it was ordered, but for a session that is not known here."""
    before: Usage
    """What the session that is resumed had told so far."""
    budgets: dict[str, float]
    """What is left of each, in US dollars."""
    day: str
    """The day by which its spending is kept."""


class Beginning:
    """Makes one run ready."""

    def __init__(self, means: Means, assignment: Assignment) -> None:
        self._means = means
        self._a = assignment
        self._command = assignment.command

    async def prepare(self) -> Begun | Outcome:
        """Return what the agent starts with, or the outcome of a run that cannot even begin."""
        day = day_of(self._means.clock.now())
        try:
            budgets = await self._budgets(day)
        except TransientError as error:
            return ended(OutcomeKind.TRANSIENT, OutcomeReason.NETWORK, f"cannot read what was spent: {error}")
        if spent := spent_budget(0.0, 0.0, budgets):
            return ended(OutcomeKind.FAILED, OutcomeReason.BUDGET_SPENT, f"not begun: {spent}")
        workspace = await self._workspace()
        if isinstance(workspace, Outcome):
            return workspace
        before = self._session()
        command = self._command if before is not None else replace(self._command, session_id="")
        try:
            clear(workspace.path, docs_dir(command), command.clears)
            prompt = await self._prompt(workspace)
        except TransientError as error:
            return ended(OutcomeKind.TRANSIENT, OutcomeReason.NETWORK, f"cannot read the issue: {error}")
        except PermanentError as error:
            return ended(OutcomeKind.FAILED, OutcomeReason.LAUNCH_FAILED, str(error))
        return Begun(
            workspace=workspace, prompt=prompt, command=command, before=before or Usage(), budgets=budgets, day=day
        )

    async def _budgets(self, day: str) -> dict[str, float]:
        limit = self._a.project.day_budget_usd
        if not limit:
            return dict(self._command.budgets)
        left = limit - await self._means.spend.of_others(self._command, day)
        return {**self._command.budgets, "day": round(left, 6)}

    def _session(self) -> Usage | None:
        """Return what the session to resume had told; None when there is none, or none that lies on this host."""
        if not self._command.session_id or not self._a.agent.resume:
            return None
        return self._means.sessions.told(self._command.agent, self._command.session_id)

    async def _workspace(self) -> Workspace | Outcome:
        try:
            return await self._means.workspaces.prepare(self._request())
        except TransientError as error:
            return ended(OutcomeKind.TRANSIENT, OutcomeReason.NETWORK, f"cannot prepare the worktree: {error}")
        except (PermanentError, OSError) as error:
            return ended(OutcomeKind.FAILED, OutcomeReason.WORKSPACE_FAILED, f"cannot prepare the worktree: {error}")

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
        target = self._a.project.target_branch
        told = with_conflicts(self._command, target, workspace.conflicts)
        return prompt_for(told, target_branch=target, description=description, override=override)

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
