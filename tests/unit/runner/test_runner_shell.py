"""The small parts of the runner's shell: what an agent left, what is noted on disk, preflight, settings, claims."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from conveyor.contracts import streams
from conveyor.contracts.commands import StartRun
from conveyor.contracts.errors import PermanentError, SettingsError
from conveyor.contracts.outcomes import Outcome, OutcomeKind, OutcomeReason
from conveyor.runner.claims import Claim, Claims, RunRecord
from conveyor.runner.core.agent import Agent
from conveyor.runner.evidence import clear, read_left_result
from conveyor.runner.live import LiveRuns
from conveyor.runner.preflight import FRESH_S, Preflight
from conveyor.runner.settings import RunnerSettings, Settings, check
from conveyor.servicekit.bus import Bucket, Bus
from conveyor.servicekit.sections import GiteaSettings

NOW = datetime(2026, 1, 5, tzinfo=UTC)
LOST = Outcome(kind=OutcomeKind.LOST, reason=OutcomeReason.RUNNER_DIED)
DONE = Outcome(kind=OutcomeKind.SUCCEEDED, reason=OutcomeReason.FINISHED)
COMMAND = StartRun(
    command_id="c", project="shop", key="SHOP-12", revision=3, trace_id="t", issued_at=NOW, run_id="r1", stage="s",
    role="developer", agent="a", attempt=1, issue_id="i", title="t", branch="b",
)  # fmt: skip


@pytest.mark.behaviour("SE-9")
def test_a_result_is_a_regular_file_or_none(tmp_path: Path) -> None:
    folder = tmp_path / ".conveyor"
    folder.mkdir()
    path = folder / "result-r1.json"
    assert read_left_result(tmp_path, "r1") == ""
    os.mkfifo(path)
    assert "regular" in str(read_left_result(tmp_path, "r1"))
    path.unlink()
    path.symlink_to("/etc/passwd")
    assert "cannot be opened" in str(read_left_result(tmp_path, "r1"))
    path.unlink()
    path.mkdir()
    assert "regular" in str(read_left_result(tmp_path, "r1"))
    path.rmdir()
    folder.rmdir()
    folder.symlink_to("/tmp")
    assert "link" in str(read_left_result(tmp_path, "r1"))


def test_documents_of_an_earlier_run_are_cleared_and_nothing_outside(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "docs").mkdir(parents=True)
    (tree / "docs" / "12-review.md").write_text("old")
    clear(tree, "docs", ("12-review.md", "missing.md"))
    assert not (tree / "docs" / "12-review.md").exists()
    (tmp_path / "secret.md").write_text("kept")
    (tree / "link").symlink_to(tmp_path)
    for folder in ("link", ".."):
        with pytest.raises(PermanentError, match="outside"):
            clear(tree, folder, ("secret.md",))
    with pytest.raises(PermanentError, match="cannot remove"):
        clear(tree, ".", ("docs",))
    assert (tmp_path / "secret.md").exists()


def test_what_is_in_hand_is_known_after_a_crash(tmp_path: Path) -> None:
    record = RunRecord(
        run_id="r1", project="shop", key="SHOP-12", trace_id="t", runner_id="me", claim_id="x", claimed_at=NOW
    )
    first, second = Claim(record=record, revision=5), Claim(record=replace(record, run_id="r2"), revision=6)
    live = LiveRuns(tmp_path)
    live.note(first)
    live.note(second)
    live.note(second, DONE)
    (tmp_path / "live" / "torn.json").write_bytes(b"{")
    assert list(LiveRuns(tmp_path).left()) == [(first, None), (second, DONE)]
    live.forget("r1")
    live.forget("r1")
    assert list(live.left()) == [(second, DONE)]


@pytest.mark.behaviour("RU-6")
async def test_preflight_says_why_and_looks_again_only_after_a_while(tmp_path: Path, clock: Any) -> None:
    program = tmp_path / "agent"
    agents = {
        "here": Agent(command=("sh",), version=("sh", "-c", "exit 0")),
        "gone": Agent(command=(str(program),)),
        "broken": Agent(command=("sh",), version=("sh", "-c", "exit 3")),
    }
    preflight = Preflight(agents, {"PATH": "/bin:/usr/bin"}, clock)
    await preflight.look()
    assert preflight.can_work
    assert preflight.problems == {
        "here": "",
        "gone": f"there is no program {program}",
        "broken": "sh -c exit 3 ended with 3",
    }
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert await preflight.problem("gone")
    await clock.advance(FRESH_S)
    assert not await preflight.problem("gone")


def settings(agent: Agent, **runner: Any) -> Settings:
    return Settings(gitea=GiteaSettings(), project=(), agents={"claude": agent}, runner=RunnerSettings(**runner))


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (settings(Agent(command=())), r"agents\.claude: expected a preset"),
        (settings(Agent(command=("x",), pass_env=("CONVEYOR_PLANE__API_KEY",))), "CONVEYOR_PLANE__API_KEY"),
        (settings(Agent(command=("x",)), slots=0), "slots"),
        (settings(Agent(command=("x",)), pools=()), "pools"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(wrong: Settings, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        check(wrong)


@pytest.mark.behaviour("RU-1")
async def test_a_run_has_one_owner_and_one_end(bus: Bus) -> None:
    bucket = Bucket(bus, streams.RUNS)
    one, other = Claims(bucket, "one"), Claims(bucket, "other")
    claim = await one.take(COMMAND, NOW)
    assert claim is not None
    assert await other.take(COMMAND, NOW) is None
    assert await one.holds(claim)
    seen = await other.find(COMMAND.run_id)
    assert seen == claim
    assert await other.finish(claim, LOST) == LOST
    assert not await one.holds(claim)
    assert await one.finish(claim, DONE) is None
    settled = await one.find(COMMAND.run_id)
    assert settled is not None
    assert settled.record.outcome == LOST


async def test_settling_a_run_twice_says_the_same(bus: Bus) -> None:
    """After a crash between the record and the event the outcome is told once more."""
    claims = Claims(Bucket(bus, streams.RUNS), "one")
    claim = await claims.take(COMMAND, NOW)
    assert claim is not None
    assert await claims.finish(claim, DONE) == DONE
    assert await claims.finish(claim, DONE) == DONE
    assert await claims.finish(claim, LOST) is None
