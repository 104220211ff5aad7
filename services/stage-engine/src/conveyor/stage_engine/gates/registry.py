"""Every check a gate may name, by its name (SE-8); a pipeline that names another is refused when it is loaded."""

from collections.abc import Awaitable, Callable

from conveyor.contracts.events import CheckResult, GateState
from conveyor.stage_engine.gates import documents, forge_facts
from conveyor.stage_engine.gates.context import Context

Check = Callable[[Context], Awaitable[CheckResult]]

REGISTRY: dict[str, Check] = {
    "analysis_complete": documents.analysis_complete,
    "analysis_approved": documents.analysis_approved,
    "architecture_done": documents.architecture_done,
    "has_changes": forge_facts.has_changes,
    "ci_green": forge_facts.ci_green,
    "tests_local": forge_facts.tests_local,
    "reviewer_verdict": documents.reviewer_verdict,
    "review_approved": forge_facts.review_approved,
    "tests_passed": documents.tests_passed,
    "branch_mergeable": forge_facts.branch_mergeable,
    "deploy_status": documents.deploy_status,
    "healthy": forge_facts.healthy,
    "command": forge_facts.command,
}


async def evaluate(context: Context) -> tuple[CheckResult, ...]:
    """Look at the command's checks in their order, up to the first that does not pass."""
    results: list[CheckResult] = []
    for name in context.command.checks:
        results.append(await REGISTRY[name](context))
        if results[-1].state is not GateState.PASSED:
            break
    return tuple(results)
