"""The way home of what an agent left: commit, push, pull request; what cannot be brought home is no success."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from msgspec.structs import replace

from conveyor.contracts.errors import PermanentError, TransientError
from conveyor.contracts.outcomes import Outcome, OutcomeKind, OutcomeReason
from conveyor.runner.assignment import Assignment, Means
from conveyor.runner.core.classify import DETAIL_CHARS
from conveyor.runner.core.plan import commit_message, pull_request_text
from conveyor.runner.workspace import PushRejectedError, Workspace
from conveyor.servicekit import logs
from conveyor.servicekit.backoff import delays, retry

PUSH_ATTEMPTS = 6
"""A finished run is worth waiting for the forge: about a minute in all."""
T = TypeVar("T")
_log = logs.get("runner")


class Homecoming:
    """Brings one run's work home."""

    def __init__(self, means: Means, assignment: Assignment) -> None:
        self._means = means
        self._a = assignment
        self._command = assignment.command

    async def bring(self, workspace: Workspace, outcome: Outcome) -> Outcome:
        """Return the outcome with what only the forge can say; only a lost claim is an error."""
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
        await self._a.still_ours()  # waits while the bus is away, which the next step needs
        await self._patiently(lambda: means.remember(head, command))
        pushed = await self._patiently(lambda: means.workspaces.push(workspace, head))
        if pushed != head:
            await self._patiently(lambda: means.remember(pushed, command))
        return pushed

    async def _propose(self, workspace: Workspace, outcome: Outcome) -> Outcome:
        """Open the pull request where the stage wants one and there is something to propose."""
        if not self._command.opens_pull_request or outcome.kind is not OutcomeKind.SUCCEEDED or not outcome.head:
            return outcome
        means, project = self._means, self._a.project
        if not await means.workspaces.differs_from_target(workspace, outcome.head):
            return outcome
        title, body = pull_request_text(self._command)
        found = await self._patiently(
            lambda: means.forge.ensure_pull_request(
                project.repository, self._command.branch, project.target_branch, title, body
            )
        )
        return replace(outcome, pull_request=found.number)

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        waits = delays(1.0, 20.0, self._command.run_id)
        return await retry(call, waits, attempts=PUSH_ATTEMPTS, clock=self._means.clock)

    def _spoilt(self, outcome: Outcome, kind: OutcomeKind, reason: OutcomeReason, error: Exception) -> Outcome:
        """A good run whose work cannot be brought home is none; a failed one stays what it was."""
        _log.warning("work not brought home", run_id=self._command.run_id, reason=str(error))
        if outcome.kind is not OutcomeKind.SUCCEEDED:
            return outcome
        return replace(outcome, kind=kind, reason=reason, detail=str(error)[:DETAIL_CHARS])
