"""The engine on a real bus between both simulators and the gateway: tasks from the start status to their end."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from conveyor.contracts.commands import AnyCommand, EnsureBranch, Merge, PostComment, SetStatus, StartRun
from conveyor.contracts.task import CREATED, DONE, Waiting
from conveyor.servicekit.bus import Bus
from conveyor.servicekit.nats_process import NatsProcess
from tests.conftest import wait_until
from tests.rigs.house import KEY, REPO
from tests.rigs.stage import Stage, open_stage
from tests.rigs.stand_in_runner import RATE_LIMITED, Play, front_matter

ASKS = (
    "The analysis is ready for your word: set the status to Approved, or comment `:approved:` or `:rejected: reason`."
)


@pytest.fixture
async def stage(bus: Bus, nats: NatsProcess, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(bus, nats.url, tmp_path) as stage:
        yield stage


@pytest.mark.behaviour("SE-1", "SE-5", "SE-6", "SE-7", "SE-13", "SE-16")
async def test_a_task_goes_from_the_start_status_to_done(stage: Stage) -> None:
    house = stage.house
    stage.begin()
    task = await stage.reaches("analysis", Waiting.PERSON)
    first = (await house.revisions())[0].record
    assert [type(one) for one in first.commands] == [EnsureBranch, PostComment, SetStatus, StartRun]
    assert task.branch == "feature/SHOP-1-sell-tea"
    assert house.gitea.branch_sha(REPO, task.branch) == task.head
    assert house.status() == "In Review"

    house.plane.comment(KEY, ":approved:")
    task = await stage.reaches(DONE)
    assert [run.role for run in stage.runner.taken] == [
        *("analyst", "architect", "developer", "reviewer", "tester", "deployer")
    ]
    assert [pull.merged for pull in house.gitea.pulls(REPO)] == [True]
    assert house.gitea.pull(REPO, task.pull_request).merge_commit_sha == task.merge_sha
    assert sum(isinstance(one, Merge) for one in await house.commands()) == 1
    assert house.comments() == [
        "Conveyor has taken this issue. Its branch is `feature/SHOP-1-sell-tea`; the analyst begins.",
        ASKS,
        "Done. Merged as ~.",
    ]
    shown = ["Analysis", "In Review", "In Progress", "In Review", "In Progress", "In Review", "In Progress", "Done"]
    assert [status for status in stage.shown() if status in shown] == stage.shown()
    assert stage.shown()[:3] == shown[:3]
    assert house.status() == "Done"


@pytest.mark.behaviour("SE-6", "SE-7")
async def test_questions_are_put_to_people_and_the_answer_resumes_the_analyst(stage: Stage) -> None:
    house = stage.house
    stage.runner.will("analyst", Play({"02-questions.md": "Green or black?"}))
    stage.begin()
    await stage.reaches("analysis", Waiting.ANSWER)
    assert house.status() == "Needs Input"
    assert "Green or black?" in house.comments()[-1]
    house.plane.comment(KEY, "Green.")
    await stage.reaches("analysis", Waiting.PERSON)
    assert [run.role for run in stage.runner.taken] == ["analyst", "analyst"]
    assert "Green." in stage.runner.taken[1].instructions
    assert stage.runner.taken[1].session_id == "session-analyst"


@pytest.mark.behaviour("SE-6")
async def test_neither_document_nor_questions_is_a_warning_and_waits_for_a_person(stage: Stage) -> None:
    stage.runner.will("analyst", Play(code={"notes.txt": "hm"}))
    stage.begin()
    await stage.reaches("analysis", Waiting.PERSON)
    assert "01-analysis.md" in stage.house.comments()[-1]
    assert len(stage.runner.taken) == 1


@pytest.mark.behaviour("SE-9", "SE-10")
async def test_conflict_rejection_and_failed_tests_send_the_task_back_with_the_reason(stage: Stage) -> None:
    house, runner = stage.house, stage.runner
    runner.will("architect", Play({"10-conflict.md": "Two tables. " + "x" * 600}))
    runner.will("reviewer", Play({"12-review.md": front_matter("verdict: REQUEST_CHANGES", "Close the file.")}))
    runner.will("tester", Play({"13-test-report.md": front_matter("status: FAIL", "Three tests are red.")}))
    stage.begin()
    await stage.approved()
    second = await stage.reaches("analysis", Waiting.PERSON)
    assert second.budget.rollbacks == {"analysis": 1}
    conflict = next(text for text in house.comments() if "Two tables." in text)
    assert len(conflict) < 600
    house.plane.comment(KEY, ":approved:")
    await stage.reaches(DONE)
    asked = {role: [run.instructions for run in runner.taken if run.role == role] for role in ("analyst", "developer")}
    assert "Two tables." in asked["analyst"][1]
    assert "Close the file." in asked["developer"][1]
    assert "Three tests are red." in asked["developer"][2]
    assert len(asked["developer"]) == 3
    assert any("testing sends the task back to development" in text for text in house.comments())


@pytest.mark.behaviour("SE-11")
async def test_the_fourth_rejection_blocks_the_task_and_tells_once(stage: Stage) -> None:
    no = Play({"12-review.md": front_matter("verdict: REQUEST_CHANGES", "Still not.")})
    stage.runner.will("reviewer", no, no, no, no)
    stage.begin()
    await stage.approved()
    task = await stage.reaches("review", Waiting.PERSON)
    assert task.is_escalated
    assert stage.house.status() == "Blocked"
    assert sum(text.startswith("Blocked:") for text in stage.house.comments()) == 1
    assert sum(run.role == "developer" for run in stage.runner.taken) == 4


@pytest.mark.behaviour("SE-9")
@pytest.mark.parametrize(
    "text",
    [
        "verdict: APPROVED\n",
        "I say APPROVED.\n\n---\nverdict: APPROVED\n---\n",
        "---\nverdict: approved\n---\n",
        "---\nverdict: APPROVED\nverdict: REQUEST_CHANGES\n---\n",
        "---\nverdict: [APPROVED]\n---\n",
        "---\nverdict: APPROVED\n",
    ],
)
async def test_a_malformed_verdict_never_passes_and_is_no_rejection(stage: Stage, text: str) -> None:
    stage.runner.will("reviewer", Play({"12-review.md": text}), Play({"12-review.md": text}))
    stage.begin()
    await stage.approved()
    task = await stage.reaches("review", Waiting.PERSON)
    assert task.is_escalated
    assert "development" not in task.budget.rollbacks
    assert [run.role for run in stage.runner.taken][-2:] == ["reviewer", "reviewer"]


async def test_a_rate_limited_run_is_tried_again_when_its_timer_fires(
    bus: Bus, nats: NatsProcess, tmp_path: Path
) -> None:
    pipeline = """
    name = "tested"
    transient_first_s = 0.02
    [[stages]]
    name = "analysis"
    role = "analyst"
    gate = ["analysis_complete"]
    documents = ["01-analysis.md"]
    """
    async with open_stage(bus, nats.url, tmp_path, pipeline=pipeline) as stage:
        stage.runner.will("analyst", Play(outcome=RATE_LIMITED))
        stage.begin()
        await stage.reaches(DONE)
        assert [run.attempt for run in stage.runner.taken] == [1, 2]


@pytest.mark.behaviour("SE-15")
async def test_a_task_waits_for_those_it_depends_on_without_a_run(stage: Stage) -> None:
    house = stage.house
    first = house.issue("First")
    house.plane.relate(house.issue("Second"), "blocked_by", first)
    third = house.issue("Third", "<p>Depends-on: SHOP-1</p>")
    for key in ("SHOP-2", third):
        house.plane.move_issue(key, "To Analyse")
    for key in ("SHOP-2", "SHOP-3"):
        task = await stage.reaches(CREATED, Waiting.DEPENDENCY, key)
        assert task.open_dependencies == ("SHOP-1",)
        assert "Waits for SHOP-1." in house.comments(key)
    assert not stage.runner.taken
    house.plane.move_issue(first, "To Analyse")
    await stage.approved("SHOP-1")
    await stage.reaches(DONE, key="SHOP-1")
    for key in ("SHOP-2", "SHOP-3"):
        await stage.reaches("analysis", Waiting.PERSON, key)


@pytest.mark.behaviour("SE-15")
async def test_tasks_in_a_circle_are_blocked_and_told_once(stage: Stage) -> None:
    house = stage.house
    house.issue("First", "<p>Depends-on: SHOP-2</p>")
    house.issue("Second", "<p>Depends-on: SHOP-1</p>")
    for key in ("SHOP-1", "SHOP-2"):
        house.plane.move_issue(key, "To Analyse")
    for key in ("SHOP-1", "SHOP-2"):
        task = await stage.reaches(CREATED, Waiting.PERSON, key)
        assert task.is_escalated
        assert house.status(key) == "Blocked"
        assert sum("circle" in text for text in house.comments(key)) == 1
    assert not stage.runner.taken


@pytest.mark.behaviour("SE-16")
async def test_a_branch_that_conflicts_is_sent_back_and_the_next_goes_on(stage: Stage) -> None:
    one, two, three = (Play(code={path: text}) for path, text in (("a", "one"), ("a", "two"), ("b", "three")))
    stage.runner.will("developer", one, two, Play(never_ends=True), three)
    for number in (1, 2):
        stage.begin(f"Task {number}")
        await stage.reaches("analysis", Waiting.PERSON, f"SHOP-{number}")
    await stage.approved("SHOP-1")
    await stage.reaches(DONE, key="SHOP-1")
    await stage.approved("SHOP-2")

    async def is_sent_back() -> bool:
        """Its first run of the developer looks like the second to one who asks for stage and wait alone."""
        task = await stage.house.task("SHOP-2")
        return task is not None and task.budget.rollbacks == {"development": 1}

    await wait_until(is_sent_back, timeout_s=30)
    await stage.reaches("development", Waiting.RUN, "SHOP-2")
    assert "conflicts with main" in stage.runner.taken[-1].instructions
    stage.begin("Task 3")
    await stage.approved("SHOP-3")
    await stage.reaches(DONE, key="SHOP-3")
    assert [pull.merged for pull in stage.house.gitea.pulls(REPO)] == [True, False, True]


@pytest.mark.behaviour("SE-4")
async def test_two_engines_share_the_work_of_many_tasks(bus: Bus, nats: NatsProcess, tmp_path: Path) -> None:
    async with open_stage(bus, nats.url, tmp_path, engines=2) as stage:
        keys = [stage.house.plane.key_of(stage.begin(f"Tea {number}")) for number in range(6)]
        for key in keys:
            await stage.approved(key)
        for key in keys:
            await stage.reaches(DONE, key=key)
            decided = [one for revision in await stage.house.revisions(key) for one in revision.record.commands]
            found = await stage.house.commands(key)
            assert _effects(found) == _effects(decided), "each once, in the order of the decisions"
            assert len(found) == len(decided)


def _effects(commands: list[AnyCommand]) -> list[str]:
    """Runs have queues of their own and go first in their revision."""
    return [one.command_id for one in commands if not isinstance(one, StartRun)]
