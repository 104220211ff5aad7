"""Hooks around an agent, from settings or from the target branch: in the worktree, in order, within their time."""

from pathlib import Path

import pytest

from conveyor.contracts.outcomes import OutcomeKind, OutcomeReason
from conveyor.runner.hooks import HookSettings
from tests.scenarios.runner.rig import BRANCH, REPO, Eventually, Rig, running


def writes(name: str) -> tuple[str, ...]:
    """A hook that leaves a line in the worktree, which is committed and so can be seen."""
    return ("/bin/sh", "-c", f'echo "$CONVEYOR_HOOK {name} $CONVEYOR_TASK $CONVEYOR_ROLE" >> hooks.txt')


@pytest.mark.behaviour("RU-15")
async def test_hooks_run_around_the_agent_and_creation_is_once(
    rig: Rig, eventually: Eventually, tmp_path: Path
) -> None:
    gone = tmp_path / "gone.txt"
    hooks = HookSettings(
        after_create=writes("made"),
        before_run=writes("before"),
        after_run=writes("after"),
        before_remove=("/bin/sh", "-c", f'pwd > {gone}; echo "$CONVEYOR_TASK" >> {gone}'),
    )
    async with running(rig.settings(rig.agent(), hooks=hooks)):
        await rig.outcome(await rig.order(), eventually)
        await rig.outcome(await rig.order("tester"), eventually)
        rig.revision += 1
        await rig.commit(None, "done")
        await eventually(lambda: not rig.worktree().exists())
    lines = str(await rig.gitea.read_file(REPO, BRANCH, "hooks.txt")).splitlines()
    assert lines == [
        "after_create made SHOP-12 developer",
        "before_run before SHOP-12 developer",
        "after_run after SHOP-12 developer",
        "before_run before SHOP-12 tester",
        "after_run after SHOP-12 tester",
    ]
    assert gone.read_text().splitlines() == [str(rig.worktree()), "SHOP-12"]


@pytest.mark.behaviour("RU-15")
@pytest.mark.parametrize(
    ("name", "script", "said"),
    [
        ("before_run", "echo no compiler; exit 3", "hook before_run ended with 3: no compiler"),
        ("after_create", "exit 4", "hook after_create ended with 4"),
        ("before_run", "sleep 60", "hook before_run was stopped: wall_time"),
    ],
)
async def test_a_hook_that_fails_before_the_agent_fails_the_run(
    rig: Rig, eventually: Eventually, name: str, script: str, said: str
) -> None:
    hooks = HookSettings(timeout_s=0.5 if "sleep" in script else 15, **{name: ("/bin/sh", "-c", script)})
    async with running(rig.settings(rig.agent(), hooks=hooks)):
        for _ in range(2 if name == "after_create" else 1):
            outcome = await rig.outcome(await rig.order(), eventually)
            assert (outcome.kind, outcome.reason) == (OutcomeKind.FAILED, OutcomeReason.WORKSPACE_FAILED)
            assert said in outcome.detail
    assert rig.gitea.branch_sha(REPO, BRANCH) is None, "the agent never ran"


@pytest.mark.behaviour("RU-15")
async def test_hooks_of_the_target_branch_serve_where_none_is_set(rig: Rig, eventually: Eventually) -> None:
    """Those of the task's branch do not: an agent could have written them. One that fails afterwards is only told."""
    await rig.gitea.push(
        REPO,
        "main",
        {
            ".conveyor/hooks/before_run": "#!/bin/sh\necho trusted > hooks.txt\n",
            ".conveyor/hooks/after_run": "echo cannot clean up\nexit 1\n",
        },
    )
    await rig.gitea.push(REPO, BRANCH, {".conveyor/hooks/before_run": "#!/bin/sh\necho mine > hooks.txt\n"})
    async with running(rig.settings(rig.agent())):
        command = await rig.order()
        outcome = await rig.outcome(command, eventually)
    assert outcome.kind is OutcomeKind.SUCCEEDED
    assert await rig.gitea.read_file(REPO, BRANCH, "hooks.txt") == "trusted\n"
    assert b"hook after_run ended with 1" in await rig.log(command)
