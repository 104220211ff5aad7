"""Checks that read the forge at one commit, a run's report, or the deployed system."""

from conveyor.contracts.events import CheckResult
from conveyor.contracts.observed import CiState, Review
from conveyor.servicekit.backoff import delays
from conveyor.stage_engine.gates.context import Context, broken, passed, pending, rejected


async def has_changes(context: Context) -> CheckResult:
    """The stage's run changed the tree, and what it left is on the forge beside what the target branch has."""
    if not context.command.run_changed:
        return broken("has_changes", "the agent says it is done, but it changed nothing")
    project = context.project
    if not context.sha or not await context.forge.compare_changed(
        project.repository, project.target_branch, context.sha
    ):
        return broken("has_changes", f"the branch holds nothing that {project.target_branch} has not")
    return passed("has_changes", sha=context.sha)


async def ci_green(context: Context) -> CheckResult:
    """CI of exactly this commit is green; no status at all is not green (docs/protocols.md, Gitea)."""
    if not context.project.ci:
        return passed("ci_green", "no CI is configured for this project")
    if not context.sha:
        return pending("ci_green", "there is no commit yet")
    status = await context.forge.ci_status(context.project.repository, context.sha, context.project.required_contexts)
    told = {name: str(value) for name, value in status.contexts.items()}
    match status.state:
        case CiState.GREEN:
            return passed("ci_green", **told)
        case CiState.RED:
            red = ", ".join(name for name, value in told.items() if value in ("failure", "error", "warning"))
            return rejected("ci_green", f"CI of {context.sha[:12]} is red: {red or 'see the forge'}", **told)
        case CiState.PENDING | CiState.NONE:
            return pending("ci_green", f"CI of {context.sha[:12]} has not finished", **told)


async def review_approved(context: Context) -> CheckResult:
    """A person approved the pull request at exactly this commit, and nobody's last word on it asks for changes."""
    if not context.command.pull_request:
        return pending("review_approved", "there is no pull request yet")
    reviews = await context.forge.reviews(context.project.repository, context.command.pull_request)
    latest = {review.reviewer: review for review in reviews if _counts(review, context.sha)}
    against = [review for review in latest.values() if review.verdict == "rejected"]
    if against:
        return rejected("review_approved", f"{against[0].reviewer} asks for changes: {against[0].text}")
    if any(review.verdict == "approved" for review in latest.values()):
        return passed("review_approved", approved_by=", ".join(latest))
    return pending("review_approved", "a person has to approve the pull request")


def _counts(review: Review, sha: str) -> bool:
    return not review.dismissed and review.verdict != "commented" and review.commit_id == sha


async def branch_mergeable(context: Context) -> CheckResult:
    """The forge can merge the pull request.

    Its `false` also means that it is still checking, and it tells nobody when it is done: so it is asked again for a
    while, and what is not mergeable then is a conflict (facts: gitea 3.5).
    """
    number, clock = context.command.pull_request, context.ground.clock
    until = clock.monotonic() + context.ground.patience_s
    for delay_s in delays(0.1, 2.0, context.command.command_id):
        pull = await context.forge.pull_request(context.project.repository, number) if number else None
        if pull is None:
            break
        if pull.merged or pull.mergeable:
            return passed("branch_mergeable")
        if clock.monotonic() + delay_s > until:
            target = context.project.target_branch
            return rejected("branch_mergeable", f"pull request {number} cannot be merged: it conflicts with {target}")
        await clock.sleep(delay_s)
    return broken("branch_mergeable", "there is no pull request")


async def tests_local(context: Context) -> CheckResult:
    """The run reported its own tests: PASS or FAIL in its checked result file."""
    return _reported(context, "tests_local", "the run's result file holds no PASS or FAIL")


async def command(context: Context) -> CheckResult:
    """A command of the user's, run by a runner as this stage's agent: its exit code is the verdict."""
    return _reported(context, "command", "the command's run reported neither PASS nor FAIL")


def _reported(context: Context, check: str, otherwise: str) -> CheckResult:
    match context.command.run_verdict:
        case "PASS":
            return passed(check, run_id=context.command.run_id)
        case "FAIL":
            return rejected(check, f"run {context.command.run_id} reports FAIL")
        case _:
            return broken(check, otherwise)


async def healthy(context: Context) -> CheckResult:
    """The deployed system answers well now; the post-deploy monitor watches it for longer (SE-18)."""
    url = context.project.health_url
    if not url:
        return passed("healthy", "no health_url is configured for this project")
    if await context.ground.probe.healthy(url):
        return passed("healthy", url=url)
    return rejected("healthy", f"{url} does not answer well")
