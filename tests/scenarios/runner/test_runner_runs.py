"""Commands in, commits and one outcome out, however the agent behaves."""

import json
import socket

import httpx
import pytest
from msgspec.structs import replace

from conveyor.contracts import streams, subjects
from conveyor.contracts.events import RunFinished, RunStarted
from conveyor.contracts.outcomes import OutcomeKind, OutcomeReason
from conveyor.runner.process.sweep import members
from conveyor.servicekit.bus import Bucket, ask
from conveyor.servicekit.sections import HttpSettings
from tests.scenarios.runner.rig import BRANCH, REPO, Eventually, Rig, running


@pytest.mark.behaviour("RU-2")
async def test_one_command_becomes_a_commit_a_pull_request_and_one_outcome(rig: Rig, eventually: Eventually) -> None:
    """The private repository is cloned and pushed with the runner's credentials over HTTP."""
    async with running(rig.settings(rig.agent())):
        command = await rig.order()
        outcome = await rig.outcome(command, eventually)
        await rig.acknowledged(eventually)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.SUCCEEDED, OutcomeReason.FINISHED)
    head = rig.gitea.branch_sha(REPO, BRANCH)
    assert (outcome.head, outcome.changed) == (head, True)
    assert outcome.summary
    assert outcome.usage.cost_usd > 0
    assert outcome.session_id
    assert f"run {command.run_id}" in str(await rig.gitea.read_file(REPO, BRANCH, "src/shop_12.py"))
    assert await rig.gitea.read_file(REPO, BRANCH, f".conveyor/result-{command.run_id}.json") is None
    (pull,) = rig.gitea.pulls(REPO)
    assert (outcome.pull_request, pull.title) == (pull.number, "SHOP-12 Dark mode")
    (started,) = await rig.events(RunStarted)
    assert (started.run_id, started.runner_id) == (command.run_id, "runner-1")
    entry = await Bucket(rig.bus, streams.LOOKUP).get(f"commit.{head}")
    assert entry is not None
    assert entry.value == b"shop/SHOP-12"


@pytest.mark.behaviour("RU-4")
async def test_output_is_in_the_log_stream_and_secrets_are_not(rig: Rig, eventually: Eventually) -> None:
    agent = rig.agent({"developer": [{"do": "succeed", "text": f"I found {rig.token} and hunter2-hunter2"}]})
    agent = replace(agent, env={"API_KEY": "hunter2-hunter2"})
    async with running(rig.settings(agent)):
        command = await rig.order()
        outcome = await rig.outcome(command, eventually)
    log = await rig.log(command)
    assert outcome.log_subject == subjects.log("shop", "SHOP-12", command.run_id)
    assert b'"type": "result"' in log
    assert b"I found *** and ***" in log
    assert rig.token.encode() not in log
    assert b"hunter2" not in log


@pytest.mark.behaviour("SE-9")
async def test_verdict_and_findings_of_the_result_file_are_told(rig: Rig, eventually: Eventually) -> None:
    async with running(rig.settings(rig.agent({"reviewer": ["reject"]}))):
        command = await rig.order("reviewer")
        outcome = await rig.outcome(command, eventually)
    assert (outcome.kind, outcome.verdict) == (OutcomeKind.SUCCEEDED, "REQUEST_CHANGES")
    assert outcome.findings
    assert outcome.pull_request == 0


@pytest.mark.behaviour("SE-9")
async def test_a_lying_agent_changes_nothing_and_the_outcome_says_so(rig: Rig, eventually: Eventually) -> None:
    async with running(rig.settings(rig.agent({"developer": ["lie"]}))):
        outcome = await rig.outcome(await rig.order(), eventually)
    assert (outcome.kind, outcome.changed, outcome.head, outcome.pull_request) == (OutcomeKind.SUCCEEDED, False, "", 0)
    assert rig.gitea.branch_sha(REPO, BRANCH) is None


@pytest.mark.behaviour("SE-9")
async def test_a_result_of_another_run_is_no_verdict(rig: Rig, eventually: Eventually) -> None:
    async with running(rig.settings(rig.agent({"reviewer": ["foreign_result"]}))):
        outcome = await rig.outcome(await rig.order("reviewer"), eventually)
    assert (outcome.kind, outcome.verdict) == (OutcomeKind.SUCCEEDED, "")
    assert "not of this one" in outcome.detail


@pytest.mark.behaviour("RU-7")
@pytest.mark.parametrize(
    ("act", "kind", "reason"),
    [
        ("fail", OutcomeKind.FAILED, OutcomeReason.AGENT_ERROR),
        ("crash", OutcomeKind.FAILED, OutcomeReason.EXIT_CODE),
        ("rate_limit", OutcomeKind.TRANSIENT, OutcomeReason.RATE_LIMITED),
        ("overload", OutcomeKind.TRANSIENT, OutcomeReason.OVERLOADED),
        ("hang", OutcomeKind.TIMEOUT, OutcomeReason.WALL_TIME),
        ("stubborn", OutcomeKind.TIMEOUT, OutcomeReason.WALL_TIME),
        ("linger", OutcomeKind.SUCCEEDED, OutcomeReason.FINISHED),
        ("orphan", OutcomeKind.SUCCEEDED, OutcomeReason.FINISHED),
        ("babble", OutcomeKind.SUCCEEDED, OutcomeReason.FINISHED),
    ],
)
async def test_however_an_agent_behaves_there_is_one_outcome_and_nothing_left(
    rig: Rig, eventually: Eventually, act: str, kind: OutcomeKind, reason: OutcomeReason
) -> None:
    agent = rig.agent({"developer": [act]}, timeout_s=2 if kind is OutcomeKind.TIMEOUT else 0, after_result_s=0.3)
    async with running(rig.settings(agent)):
        command = await rig.order()
        outcome = await rig.outcome(command, eventually)
        assert members(command.run_id) == []
        await rig.acknowledged(eventually)
    assert (outcome.kind, outcome.reason) == (kind, reason)
    assert len(await rig.events(RunFinished)) == 1
    assert not (rig.folder / "runner-1" / "live").exists() or not any((rig.folder / "runner-1" / "live").iterdir())


async def test_an_agent_nobody_configured_fails_with_a_clear_word(rig: Rig, eventually: Eventually) -> None:
    async with running(rig.settings(rig.agent())):
        outcome = await rig.outcome(await rig.order(agent="gemini"), eventually)
        after = await rig.outcome(await rig.order(), eventually)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.FAILED, OutcomeReason.LAUNCH_FAILED)
    assert after.kind is OutcomeKind.SUCCEEDED, "its slot is free again"
    assert "'gemini' is not configured" in outcome.detail


@pytest.mark.behaviour("RU-6")
async def test_an_agent_that_is_not_there_leaves_its_commands_queued(rig: Rig, eventually: Eventually) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        http = HttpSettings(port=free.getsockname()[1])
    async with running(rig.settings(rig.agent(command=("/nowhere/agent",)), http=http)), httpx.AsyncClient() as client:
        command = await rig.order()

        async def says_why() -> bool:
            answer = await ask(rig.bus, "conveyor.runner.status", b"")
            return answer is not None and "no program" in json.loads(answer)["agents"]["scripted"]

        await eventually(says_why)
        ready = await client.get(f"http://127.0.0.1:{http.port}/readyz")
        assert ready.status_code == 503
        assert "no program" in ready.json()["failures"]["agents"]
        assert await Bucket(rig.bus, streams.RUNS).get(command.run_id) is None
    async with running(rig.settings(rig.agent(), "runner-2")):
        assert (await rig.outcome(command, eventually)).kind is OutcomeKind.SUCCEEDED


@pytest.mark.behaviour("RU-1", "SE-19")
async def test_a_command_that_is_no_longer_current_is_dropped(rig: Rig, eventually: Eventually) -> None:
    old = await rig.order()
    await rig.commit(None)
    async with running(rig.settings(rig.agent())):
        await rig.acknowledged(eventually)
        new = await rig.order()
        await rig.outcome(new, eventually)
    assert [event.run_id for event in await rig.events(RunStarted)] == [new.run_id]
    assert await Bucket(rig.bus, streams.RUNS).get(old.run_id) is None


async def test_work_in_conflict_with_the_forge_is_push_rejected(rig: Rig, eventually: Eventually) -> None:
    files = {"src/a.txt": "the agent's"}
    agent = rig.agent({"developer": [{"do": "succeed", "files": files, "delay_s": 1.5}]})
    async with running(rig.settings(agent)):
        command = await rig.order()
        await eventually(lambda: members(command.run_id))
        await rig.gitea.push(REPO, BRANCH, {"src/a.txt": "a person's"})
        outcome = await rig.outcome(command, eventually)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.FAILED, OutcomeReason.PUSH_REJECTED)
    assert await rig.gitea.read_file(REPO, BRANCH, "src/a.txt") == "a person's"


async def test_a_document_the_run_must_write_itself_is_removed_before(rig: Rig, eventually: Eventually) -> None:
    """An agent that lies leaves no review, although an earlier run's lies on the branch."""
    review = "docs/tasks/SHOP-12/12-review.md"
    await rig.gitea.push(REPO, BRANCH, {review: "---\nverdict: APPROVED\n---\n"})
    async with running(rig.settings(rig.agent({"reviewer": ["lie"]}))):
        outcome = await rig.outcome(await rig.order("reviewer", clears=("12-review.md",)), eventually)
    assert outcome.head == rig.gitea.branch_sha(REPO, BRANCH)
    assert await rig.gitea.read_file(REPO, BRANCH, review) is None
