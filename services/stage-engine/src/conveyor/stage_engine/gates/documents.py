"""Checks that read the task's documents at one commit."""

from conveyor.contracts.events import CheckResult, GateState
from conveyor.stage_engine.gates import front_matter
from conveyor.stage_engine.gates.context import Context, broken, passed, pending, rejected

QUESTIONS = "02-questions.md"
CONFLICT = "10-conflict.md"
REVIEW = "12-review.md"
TEST_REPORT = "13-test-report.md"
DEPLOY_LOG = "14-deploy-log.md"
EXCERPT_CHARS = 3000


async def analysis_complete(context: Context) -> CheckResult:
    """Every required document is there; a questions file instead means that the analyst needs an answer (SE-6)."""
    questions = await context.document(QUESTIONS)
    missing = await _missing(context)
    asks = questions is not None and (missing or context.command.run_verdict == "QUESTIONS")
    if asks and questions is not None:
        return CheckResult(
            check="analysis_complete",
            state=GateState.QUESTIONS,
            reason="the analyst has questions",
            evidence={"questions": questions[:EXCERPT_CHARS]},
        )
    if missing:
        return broken("analysis_complete", f"neither {', '.join(missing)} nor {QUESTIONS} is on the branch")
    return passed("analysis_complete", documents=", ".join(context.command.documents))


async def analysis_approved(context: Context) -> CheckResult:
    """A person has approved; the gate never passes on its own."""
    if context.command.approved_by:
        return passed("analysis_approved", approved_by=context.command.approved_by)
    return pending("analysis_approved", "a person has to approve")


async def architecture_done(context: Context) -> CheckResult:
    """The architecture stands; a conflict document sends the task back to analysis (SE-10)."""
    conflict = await context.document(CONFLICT)
    if conflict is not None:
        return rejected("architecture_done", conflict[:EXCERPT_CHARS])
    missing = await _missing(context)
    if missing:
        return broken("architecture_done", f"{', '.join(missing)} is not on the branch")
    return passed("architecture_done")


async def reviewer_verdict(context: Context) -> CheckResult:
    """The reviewer's verdict in front matter: APPROVED or REQUEST_CHANGES."""
    return await _verdict(context, "reviewer_verdict", REVIEW, ("verdict", "APPROVED", "REQUEST_CHANGES"))


async def tests_passed(context: Context) -> CheckResult:
    """The tester's status in front matter: PASS or FAIL."""
    return await _verdict(context, "tests_passed", TEST_REPORT, ("status", "PASS", "FAIL"))


async def deploy_status(context: Context) -> CheckResult:
    """The deployer's status in front matter: SUCCESS or FAILED."""
    return await _verdict(context, "deploy_status", DEPLOY_LOG, ("status", "SUCCESS", "FAILED"))


async def _verdict(context: Context, check: str, name: str, says: tuple[str, str, str]) -> CheckResult:
    field, yes, no = says
    text = await context.document(name)
    if text is None:
        return broken(check, f"{name} is not on the branch")
    value, problem = front_matter.read(text, field, (yes, no))
    if problem:
        return broken(check, f"{name}: {problem}")
    reported = context.command.run_verdict
    if reported in (yes, no) and reported != value:
        return broken(check, f"{name} says {value}, the run's result file says {reported}; one of them is wrong")
    if value == no:
        return rejected(check, _body(text) or f"{name} says {no}")
    return passed(check, evidence=f"{name}: {yes}")


def _body(text: str) -> str:
    """Return what stands below the front matter: the findings the next run has to answer to."""
    return text.split(f"\n{front_matter.FENCE}", 1)[-1].strip()[:EXCERPT_CHARS]


async def _missing(context: Context) -> list[str]:
    return [name for name in context.command.documents if not (await context.document(name) or "").strip()]
