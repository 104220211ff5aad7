"""The worst agents we can write, with walls and without: nothing left, a free slot, a whole mirror."""

import base64
import os
import subprocess
import sys

import pytest
from msgspec import Struct
from msgspec.structs import replace

from conveyor.contracts.outcomes import Outcome, OutcomeKind, OutcomeReason
from conveyor.runner.process.keeper import descendants
from conveyor.runner.process.sweep import members
from tests.scenarios.runner.rig import BRANCH, REPO, Eventually, Rig, running
from tests.unit.runner.inside import MODES, needs_bubblewrap

K, R = OutcomeKind, OutcomeReason


class Villain(Struct, frozen=True):
    act: str
    kind: OutcomeKind
    reason: OutcomeReason
    timeout_s: int = 30


VANDAL = Villain("vandal", K.SUCCEEDED, R.FINISHED)
"""Without walls it wrecks the mirror itself, and its work with it."""
VILLAINS = (
    Villain("fork_bomb", K.FAILED, R.LIMIT_EXCEEDED),
    Villain("hog", K.FAILED, R.LIMIT_EXCEEDED),
    Villain("glut", K.FAILED, R.LIMIT_EXCEEDED),
    Villain("stubborn", K.TIMEOUT, R.WALL_TIME, 1),
    Villain("unplug", K.TIMEOUT, R.WALL_TIME, 1),
    Villain("binary", K.SUCCEEDED, R.FINISHED),
    VANDAL,
    Villain("nothing", K.FAILED, R.AGENT_ERROR),
    Villain("server", K.SUCCEEDED, R.FINISHED),
    Villain("orphan", K.SUCCEEDED, R.FINISHED),
)
GOOD = Villain("succeed", K.SUCCEEDED, R.FINISHED)


@pytest.mark.behaviour("RU-5", "RU-12")
@pytest.mark.parametrize("mode", MODES)
async def test_whatever_an_agent_does_the_next_one_finds_all_in_order(
    rig: Rig, eventually: Eventually, mode: str
) -> None:
    rig.sandbox = replace(rig.sandbox, mode=mode, processes=80, disk_mb=120, memory_mb=500)
    acts = [villain.act for villain in (*VILLAINS, GOOD)]
    before = set(descendants(os.getpid()))
    async with running(rig.settings(rig.agent({"developer": acts}, gentle_s=0.2, term_s=0.2))):
        for villain in (*VILLAINS, GOOD):
            command = await rig.order(timeout_s=villain.timeout_s)
            outcome = await rig.outcome(command, eventually)
            is_ruined = villain is VANDAL and mode == "none"
            wanted = (K.FAILED, R.WORKSPACE_FAILED) if is_ruined else (villain.kind, villain.reason)
            assert (villain.act, outcome.kind, outcome.reason) == (villain.act, *wanted), outcome
            assert members(command.run_id) == []
            # The forge's own git may still be busy with what was pushed; what a villain left would stay.
            await eventually(lambda: set(descendants(os.getpid())) <= before)
            assert_nothing_else_left(rig, villain, outcome)
    assert outcome.head == rig.gitea.branch_sha(REPO, BRANCH)
    fsck(rig)


def assert_nothing_else_left(rig: Rig, villain: Villain, outcome: Outcome) -> None:
    runner = rig.folder / "runner-1"
    assert list((runner / "scratch").glob("*")) == [], f"{villain.act} left temporary files"
    assert list((runner / "rooms").glob("*")) == [], f"{villain.act} left its room"
    assert not (rig.worktree() / "pwned").exists(), "the runner's git ran what the agent wrote"
    if outcome.reason is R.LIMIT_EXCEEDED:
        assert "are allowed" in outcome.detail


def fsck(rig: Rig) -> None:
    """The mirror is whole, and what it is configured to do is ours."""
    mirror = rig.folder / "runner-1" / "mirrors" / "acme" / "shop.git"
    checked = subprocess.run(["git", "--git-dir", mirror, "fsck", "--full"], capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "fsmonitor" not in (mirror / "config").read_text()


_THIEF = """
import os, subprocess, sys
sys.stdin.read()
def git(*words):
    done = subprocess.run(["git", *words], capture_output=True, text=True)
    return f"{done.returncode} {done.stdout} {done.stderr}"
own = git("rev-parse", "--git-common-dir").split()[1]
seen = [str(dict(os.environ)), git("config", "--list", "--show-origin"), git("remote", "-v")]
for folder in (own, os.environ["HOME"], os.environ["TMPDIR"]):
    for at, _, files in os.walk(folder):
        seen += [open(os.path.join(at, name), errors="replace").read() for name in files]
open("seen.txt", "w").write("|".join(seen)[-200_000:])
open("push.txt", "w").write(git("push", "origin", "HEAD:refs/heads/stolen"))
"""


@pytest.mark.behaviour("RU-12")
@pytest.mark.parametrize("mode", MODES)
async def test_the_forges_credentials_are_not_the_agents(rig: Rig, eventually: Eventually, mode: str) -> None:
    """What it saw it leaves in the worktree, past the mask of the log; and it tries to push."""
    rig.sandbox = replace(rig.sandbox, mode=mode)
    agent = rig.agent(command=(sys.executable, "-I", "-S", "-c", _THIEF), output="text")
    async with running(rig.settings(agent)):
        outcome = await rig.outcome(await rig.order(), eventually)
    assert outcome.kind is OutcomeKind.SUCCEEDED, outcome
    seen = await rig.gitea.read_file(REPO, BRANCH, "seen.txt") or ""
    encoded = base64.b64encode(f"{rig.token}:x-oauth-basic".encode()).decode()
    assert "CONVEYOR_RUN_ID" in seen
    assert rig.token not in seen
    assert encoded not in seen
    assert (await rig.gitea.read_file(REPO, BRANCH, "push.txt") or "").startswith("128 ")
    assert rig.gitea.branch_sha(REPO, "stolen") is None


@needs_bubblewrap
async def test_behind_walls_the_mirror_does_not_even_notice(rig: Rig, eventually: Eventually) -> None:
    """Without walls it is made anew before the next run; with them nobody has to."""
    rig.sandbox = replace(rig.sandbox, mode="bubblewrap")
    async with running(rig.settings(rig.agent({"developer": ["succeed", "vandal"]}))):
        await rig.outcome(await rig.order(), eventually)
        inode = (rig.folder / "runner-1" / "mirrors" / "acme" / "shop.git" / "objects").stat().st_ino
        outcome = await rig.outcome(await rig.order(), eventually)
        fsck(rig)
    assert (rig.folder / "runner-1" / "mirrors" / "acme" / "shop.git" / "objects").stat().st_ino == inode
    assert outcome.head == rig.gitea.branch_sha(REPO, BRANCH)
