"""What a check may look at: the command that asks, the project, and the forge at one commit."""

from dataclasses import dataclass

from conveyor.contracts.commands import EvaluateGate
from conveyor.contracts.events import CheckResult, GateState
from conveyor.contracts.project import Project
from conveyor.servicekit.clock import Clock
from conveyor.stage_engine.ports import Forge, Probe


@dataclass(frozen=True)
class Ground:
    """What checks stand on."""

    forge: Forge
    probe: Probe
    clock: Clock
    patience_s: float
    """How long a forge may take to find out whether it can merge."""


@dataclass(frozen=True)
class Context:
    """One evaluation."""

    command: EvaluateGate
    project: Project
    sha: str
    """The commit that is judged; empty when the branch does not exist."""
    ground: Ground

    @property
    def forge(self) -> Forge:
        """The forge that holds the project's repository."""
        return self.ground.forge

    async def document(self, name: str) -> str | None:
        """Return a document of the task at the judged commit; None when it is not there."""
        if not self.sha:
            return None
        return await self.forge.read_file(self.project.repository, f"{self.command.docs_dir}/{name}", self.sha)


def passed(check: str, reason: str = "", **evidence: str) -> CheckResult:
    """The check is satisfied."""
    return CheckResult(check=check, state=GateState.PASSED, reason=reason, evidence=evidence)


def pending(check: str, reason: str, **evidence: str) -> CheckResult:
    """It cannot be said yet."""
    return CheckResult(check=check, state=GateState.PENDING, reason=reason, evidence=evidence)


def rejected(check: str, reason: str, **evidence: str) -> CheckResult:
    """The work was judged and found wanting."""
    return CheckResult(check=check, state=GateState.REJECTED, reason=reason, evidence=evidence)


def broken(check: str, reason: str, **evidence: str) -> CheckResult:
    """There is no readable verdict: never a pass and never the agent's own no (SE-9)."""
    return CheckResult(check=check, state=GateState.BROKEN, reason=reason, evidence=evidence)


def failed(check: str, reason: str) -> CheckResult:
    """It could not be looked at at all, and will not be until a person has acted."""
    return CheckResult(check=check, state=GateState.FAILED, reason=reason)
