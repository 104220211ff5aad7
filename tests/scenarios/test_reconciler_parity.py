"""What a webhook tells, the reconciler finds: for every kind of event a webhook can tell, with one and without one.

The list of kinds is generated from the contracts; a kind without its case fails here.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest

from conveyor.contracts.events import AnyEvent, Origin
from conveyor.contracts.task import CANCELLED, CREATED, DONE, Task, Waiting
from conveyor.contracts.webhook_kinds import WEBHOOK_EVENTS, webhook_kinds
from conveyor.gateway import core
from conveyor.reconciler.handlers import Reconciler
from conveyor.servicekit.bus import Bus, EventLog
from conveyor.servicekit.nats_process import NatsProcess
from conveyor.simulator.gitea.pulls import PullEdit, edit_pull
from conveyor.simulator.plane.world import Issue
from tests.rigs import sweeping
from tests.rigs.house import REPO
from tests.rigs.stage import Stage, open_stage
from tests.rigs.stand_in_runner import Play

PIPELINE = """
name = "tested"
agent = "claude"
docs_dir = "docs/tasks/{key}"

[[stages]]
name = "analysis"
role = "analyst"
gate = ["analysis_complete", "analysis_approved"]
documents = ["01-analysis.md"]
retry_broken = false

[[stages]]
name = "development"
role = "developer"
gate = ["has_changes", "ci_green"]
opens_pull_request = true
edges = [{ on = "ci_green", to = "development", cap = 3 }]

[[stages]]
name = "review"
role = "reviewer"
status = "code_review"
gate = ["review_approved"]
documents = ["12-review.md"]
edges = [{ on = "review_approved", to = "development", cap = 3 }]

[[stages]]
name = "testing"
role = "tester"
gate = ["ci_green"]
documents = ["13-test-report.md"]

[[stages]]
name = "deploy"
role = "deployer"
status = "deploying"
entry = "merge"
gate = ["deploy_status"]
documents = ["14-deploy-log.md"]
edges = [{ on = "merge", to = "development", cap = 3 }]
"""
PLACES = ("analysis", "questions", "development", "review", "closed")
Act = Callable[[Stage, Task], Awaitable[None]]


@dataclass(frozen=True)
class Case:
    """Where a task stands, what somebody does, and where the task stands then."""

    at: str
    act: Act
    ends: tuple[str, Waiting]


@pytest.fixture
async def stage(bus: Bus, nats: NatsProcess, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(bus, nats.url, tmp_path, pipeline=PIPELINE, ci=True) as stage:
        yield stage


# --- what people do, once told by webhook and once not -----------------------------------------------------------


async def _start(stage: Stage, task: Task) -> None:
    stage.house.plane.move_issue(task.key, "To Analyse")


async def _retitle(stage: Stage, task: Task) -> None:
    stage.house.plane.edit_issue(task.key, name="Sell green tea")


async def _approve_by_status(stage: Stage, task: Task) -> None:
    stage.house.plane.move_issue(task.key, "Approved")


async def _approve_by_comment(stage: Stage, task: Task) -> None:
    stage.house.plane.comment(task.key, ":approved:")


async def _answer(stage: Stage, task: Task) -> None:
    stage.house.plane.comment(task.key, "Green tea.")


async def _cancel(stage: Stage, task: Task) -> None:
    stage.house.plane.move_issue(task.key, "Cancelled")


async def _push(stage: Stage, task: Task) -> None:
    await stage.house.gitea.push(REPO, task.branch, {f"{task.key}.txt": "by hand"}, by="ada")


async def _ci_is_green(stage: Stage, task: Task) -> None:
    await stage.house.gitea.set_status(REPO, task.head, "ci/test", "success", by="ada")


async def _open_another(stage: Stage, task: Task) -> None:
    """The task stands afterwards as it stood before, so nothing else tells that the forge has sent its word of it."""
    await stage.house.gitea.open_pull(REPO, task.branch, title="Again", by="ada")
    await stage.house.gitea.settled()


async def _update(stage: Stage, task: Task) -> None:
    gitea = stage.house.gitea
    with gitea.quietly():
        await gitea.push(REPO, "main", {f"main-{task.key}.txt": "news"}, by="ada")
    await gitea.update_pull(REPO, task.pull_request, by="ada")


async def _close(stage: Stage, task: Task) -> None:
    """Gitea's times are whole seconds: one that the approval falls into would count as older than it."""
    assert task.last_human_at is not None
    passed_s = (stage.house.plane.clock.now() - task.last_human_at).total_seconds()
    await asyncio.sleep(max(0.0, 1.1 - passed_s))  # waits: for the next second
    stage.house.gitea.close_pull(REPO, task.pull_request, by="ada")


async def _merge(stage: Stage, task: Task) -> None:
    await stage.house.gitea.merge_pull(REPO, task.pull_request, by="ada")


async def _reopen(stage: Stage, task: Task) -> None:
    gitea = stage.house.gitea
    actor = gitea.forge.world.user("ada")
    edit_pull(gitea.forge, gitea.repo(REPO), gitea.pull(REPO, task.pull_request), PullEdit(state="open"), actor)
    await gitea.settled()


def _review(verdict: str) -> Act:
    async def review(stage: Stage, task: Task) -> None:
        gitea, number = stage.house.gitea, task.pull_request
        if verdict == "approved":
            gitea.approve_review(REPO, number, by="ada")
        elif verdict == "rejected":
            gitea.request_changes(REPO, number, "Sell coffee too.", by="ada")
        else:
            gitea.comment_review(REPO, number, "Nice.", by="ada")

    return review


CASES = {
    "IssueStarted": Case("", _start, ("analysis", Waiting.PERSON)),
    "IssueChanged": Case("analysis", _retitle, ("analysis", Waiting.PERSON)),
    "VerdictGiven:status": Case("analysis", _approve_by_status, ("development", Waiting.FACTS)),
    "VerdictGiven:comment": Case("analysis", _approve_by_comment, ("development", Waiting.FACTS)),
    "CommentAdded": Case("questions", _answer, ("analysis", Waiting.PERSON)),
    "IssueClosed": Case("analysis", _cancel, (CANCELLED, Waiting.NOTHING)),
    "BranchPushed": Case("development", _push, ("development", Waiting.FACTS)),
    "CommitStatusChanged": Case("development", _ci_is_green, ("review", Waiting.FACTS)),
    "PullRequestChanged:opened": Case("closed", _open_another, ("review", Waiting.PERSON)),
    "PullRequestChanged:synchronized": Case("development", _update, ("development", Waiting.FACTS)),
    "PullRequestChanged:closed": Case("review", _close, ("review", Waiting.PERSON)),
    "PullRequestChanged:merged": Case("review", _merge, (DONE, Waiting.NOTHING)),
    "PullRequestChanged:reopened": Case("closed", _reopen, ("review", Waiting.PERSON)),
    "ReviewSubmitted:approved": Case("review", _review("approved"), ("testing", Waiting.FACTS)),
    "ReviewSubmitted:rejected": Case("review", _review("rejected"), ("development", Waiting.FACTS)),
    "ReviewSubmitted:commented": Case("review", _review("commented"), ("review", Waiting.FACTS)),
}


# --- the walk to where a case begins --------------------------------------------------------------------------------


async def _brought_to(stage: Stage, place: str) -> Task:
    """An issue, carried by webhooks to where the case begins; for none at all it is only written."""
    issue = stage.house.issue("Sell tea")
    key = stage.house.plane.key_of(issue)
    stage.runner.will("developer", *(Play(code={f"{key}-{one}.py": "print('tea')\n"}) for one in range(3)))
    if not place:
        return _unborn(key, issue)
    if place == "questions":
        stage.runner.will("analyst", Play({"02-questions.md": "Green or black?"}))
    await _start(stage, _unborn(key, issue))
    if place == "questions":
        return await stage.reaches("analysis", Waiting.ANSWER, key)
    task = await stage.reaches("analysis", Waiting.PERSON, key)
    for act, stop in (
        (_approve_by_comment, ("development", Waiting.FACTS)),
        (_ci_is_green, ("review", Waiting.FACTS)),
        (_close, ("review", Waiting.PERSON)),
    )[: ("analysis", "development", "review", "closed").index(place)]:
        await act(stage, task)
        task = await stage.reaches(*stop, key)
    return task


def _unborn(key: str, issue: Issue) -> Task:
    at = issue.created_at
    return Task(
        project="shop",
        key=key,
        issue_id=issue.id,
        title=issue.name,
        stage=CREATED,
        created_at=at,
        entered_at=at,
        branch="",
    )


def _quietly(stage: Stage) -> AbstractContextManager[Any]:
    both = ExitStack()
    both.enter_context(stage.house.plane.quietly())
    both.enter_context(stage.house.gitea.quietly())
    return both


def _end(stage: Stage, task: Task) -> dict[str, Any]:
    """What can be seen of a task's end, without what tells two tasks of the same kind apart."""
    house, gate = stage.house, task.gate
    return {
        "where": (task.stage, task.waiting, _unnumbered(task, task.escalation)),
        "gate": (gate.check, gate.state) if gate else None,
        "title": task.title,
        "head": house.gitea.branch_sha(REPO, task.branch) == task.head or task.stage in {DONE, CANCELLED},
        "pull": bool(task.pull_request) and house.gitea.pull(REPO, task.pull_request).state,
        "merged": bool(task.merge_sha),
        "rollbacks": task.budget.rollbacks,
        "instructions": task.instructions,
        "shown": (task.status, house.status(task.key)),
        "said": [_unnumbered(task, text) for text in house.comments(task.key)],
        "runs": [run.role for run in stage.runner.taken if run.key == task.key],
    }


def _unnumbered(task: Task, text: str) -> str:
    return re.sub(r"request \d+", "request #", text).replace(task.key, "KEY")


async def _repaired(stage: Stage, sweeper: Reconciler, case: Case, key: str) -> Task:
    """Pass after pass, as time goes by, until a pass finds nothing more."""
    while (await sweeper.run_pass()).repaired:
        await stage.reaches(*case.ends, key)
    return await stage.reaches(*case.ends, key)


def test_every_kind_that_a_webhook_can_tell_has_its_case() -> None:
    assert set(CASES) == set(webhook_kinds())


def test_the_contracts_list_what_the_gateway_makes_of_deliveries() -> None:
    """The gateway's core builds events by their constructors, so its modules name every kind they can tell."""
    modules = [import_module(f"{core.__name__}.{found.name}") for found in iter_modules(core.__path__)]
    named = {
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and value in AnyEvent.__args__
    }
    assert named == set(WEBHOOK_EVENTS)


@pytest.mark.behaviour("RC-1", "RC-2", "RC-3", "SE-3")
@pytest.mark.parametrize("kind", webhook_kinds())
async def test_a_change_ends_alike_whether_its_webhook_came_or_not(kind: str, stage: Stage) -> None:
    case = CASES[kind]
    task = await _brought_to(stage, case.at)
    await case.act(stage, task)
    told = _end(stage, await stage.reaches(*case.ends, task.key))

    task = await _brought_to(stage, case.at)
    before = len(await EventLog(stage.house.bus).history("shop", task.key))
    with _quietly(stage):
        await case.act(stage, task)
    async with sweeping.reconciler(stage.house) as sweeper:
        found = _end(stage, await _repaired(stage, sweeper, case, task.key))
        assert (await sweeper.run_pass()).repaired == 0
    assert found == told
    events = (await EventLog(stage.house.bus).history("shop", task.key))[before:]
    assert kind in {"ReviewSubmitted:commented", "PullRequestChanged:reopened"} or any(
        not isinstance(event, Exception) and event.origin is Origin.RECONCILER for _, _, event in events
    )
