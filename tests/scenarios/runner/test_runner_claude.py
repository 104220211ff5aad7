"""The real Claude command line behind the runner, against a mock of its API: `make test-claude` installs it."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from conveyor.contracts import ids
from conveyor.contracts.commands import StartRun
from conveyor.contracts.outcomes import OutcomeKind, OutcomeReason
from conveyor.runner.core.agent import Agent
from conveyor.runner.process.sweep import members
from tests.rigs.anthropic_mock import KEY, Answer, AnthropicMock, Refusal, anthropic_mock, steps, text, tool
from tests.scenarios.runner.rig import BRANCH, REPO, Eventually, Rig, running

VARIABLE = "CONVEYOR_TEST_CLAUDE"
CLAUDE = os.getenv(VARIABLE, "")
pytestmark = [
    pytest.mark.claude,
    pytest.mark.skipif(not Path(CLAUDE).is_file(), reason=f"no Claude CLI: name its program in {VARIABLE}"),
]
RESULT = {"schema": "conveyor-result/1", "status": "succeeded", "summary": "dark now"}


@contextmanager
def claude(answer: Answer) -> Iterator[tuple[AnthropicMock, Agent]]:
    """An API that answers so, and Claude Code as an agent that talks to it."""
    with anthropic_mock(answer) as mock:
        command = (CLAUDE, "-p", "--output-format", "stream-json", "--verbose", "--permission-mode", "acceptEdits")
        env = {
            "ANTHROPIC_BASE_URL": mock.url,
            "ANTHROPIC_API_KEY": KEY,
            "API_TIMEOUT_MS": "20000",
            "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_MAX_RETRIES": "1",
            "DISABLE_AUTOUPDATER": "1",
        }
        yield (
            mock,
            Agent(
                command=(*command, "--allowedTools", "Bash,Write,Edit,Read"),
                output="claude-stream-json",
                env=env,
                version=(CLAUDE, "--version"),
            ),
        )


def run_id_after(rig: Rig) -> str:
    """The id of the run ordered next."""
    return ids.run_id("shop", "SHOP-12", rig.revision + 1)


async def ended(rig: Rig, agent: Agent, eventually: Eventually, **changes: Any) -> tuple[StartRun, Any]:
    async with running(rig.settings(agent)):
        command = await rig.order(**changes)
        outcome = await rig.outcome(command, eventually, timeout_s=50)
    assert members(command.run_id) == []
    return command, outcome


@pytest.mark.parametrize("mode", ["auto", "none"])
async def test_it_works_in_its_room_and_its_work_is_pushed(rig: Rig, eventually: Eventually, mode: str) -> None:
    rig.sandbox = replace(rig.sandbox, mode=mode)
    worktree, run_id = rig.worktree(), run_id_after(rig)
    answer = steps(
        tool("Write", file_path=f"{worktree}/src/dark.css", content="body { background: black }\n"),
        tool("Bash", command="git add -A && git commit -qm 'Go dark' && git log --oneline | head -3"),
        tool(
            "Write",
            file_path=f"{worktree}/.conveyor/result-{run_id}.json",
            content=json.dumps(RESULT | {"run_id": run_id}),
        ),
        text("It is dark now."),
    )
    with claude(answer) as (mock, agent):
        command, outcome = await ended(rig, agent, eventually)
        log = await rig.log(command)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.SUCCEEDED, OutcomeReason.FINISHED), log
    assert (outcome.summary, outcome.changed) == ("dark now", True)
    assert outcome.usage.cost_usd > 0
    assert outcome.session_id
    assert "Go dark" in mock.tool_results[1]
    assert outcome.head == rig.gitea.branch_sha(REPO, BRANCH)
    assert KEY.encode() not in log


async def test_stopped_in_a_command_it_tells_its_cost_and_leaves_nothing(rig: Rig, eventually: Eventually) -> None:
    """Claude runs each command in a session of its own, which no signal to its group reaches."""
    loop = "python3 -c 'import time; time.sleep(300)' || perl -e 'sleep 300'"
    with claude(steps(tool("Bash", command=f"echo begun; {loop}", timeout=250_000), text("never"))) as (_, agent):
        _, outcome = await ended(rig, agent, eventually, timeout_s=8)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.TIMEOUT, OutcomeReason.WALL_TIME)
    assert outcome.usage.cost_usd > 0


async def test_a_refusal_with_a_long_wait_is_transient(rig: Rig, eventually: Eventually) -> None:
    refusal = Refusal(429, "rate_limit_error", retry_after="600")
    with claude(lambda _results: refusal) as (mock, agent):
        _, outcome = await ended(rig, agent, eventually)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.TRANSIENT, OutcomeReason.RATE_LIMITED)
    assert mock.requests <= 2


@pytest.mark.parametrize("mode", ["auto", "none"])
@pytest.mark.parametrize("branch", ["main", BRANCH])
async def test_only_the_target_branch_may_set_hooks(rig: Rig, eventually: Eventually, branch: str, mode: str) -> None:
    """A hook that an earlier run left on the task's branch does not run; one that people merged does."""
    rig.sandbox = replace(rig.sandbox, mode=mode)
    hook = {"hooks": [{"type": "command", "command": "touch hook-was-here"}]}
    settings = json.dumps({"hooks": {"SessionStart": [hook]}})
    await rig.gitea.push(REPO, branch, {".claude/settings.json": settings})
    with claude(steps(tool("Bash", command="ls"), text("seen"))) as (mock, agent):
        _, outcome = await ended(rig, agent, eventually)
    assert outcome.kind is OutcomeKind.SUCCEEDED
    assert ("hook-was-here" in mock.tool_results[0]) == (branch == "main")
    assert outcome.changed == (branch == "main")
