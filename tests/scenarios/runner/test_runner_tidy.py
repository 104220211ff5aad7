"""Worktrees of tasks that are over go; those of living tasks and of runs in hand stay."""

import asyncio
import os
from pathlib import Path

import pytest

from conveyor.contracts import subjects
from conveyor.contracts.outcomes import OutcomeKind
from conveyor.runner.process.sweep import members
from conveyor.servicekit.bus import ask
from tests.scenarios.runner.rig import Eventually, Rig, running


@pytest.mark.behaviour("SE-19")
@pytest.mark.parametrize("stage", ["done", "cancelled"])
async def test_the_worktree_goes_soon_after_its_task_is_over(rig: Rig, eventually: Eventually, stage: str) -> None:
    async with running(rig.settings(rig.agent())):
        await rig.outcome(await rig.order(), eventually)
        assert rig.worktree().is_dir(), "the next run of a living task goes on from it"
        rig.revision += 1
        await rig.commit(None, stage)
        await eventually(lambda: not rig.worktree().exists())
        mirror = rig.folder / "runner-1" / "mirrors" / "acme" / "shop.git"
        await eventually(lambda: not list((mirror / "worktrees").glob("*")))
        await eventually(lambda: not _branches(mirror / "refs" / "heads"))
        await eventually(lambda: not _things(rig.folder / "runner-1" / "trash"))


@pytest.mark.behaviour("SE-19")
async def test_a_run_in_hand_keeps_its_worktree_until_it_is_stopped(rig: Rig, eventually: Eventually) -> None:
    async with running(rig.settings(rig.agent({"developer": ["hang"]}))):
        command = await rig.order()
        await eventually(lambda: members(command.run_id))
        rig.revision += 1
        await rig.commit(None, "cancelled")
        await asyncio.sleep(0.3)  # waits: for a removal that must not come
        assert rig.worktree().is_dir()
        await ask(rig.bus, subjects.run_control(command.run_id), b"cancel")
        assert (await rig.outcome(command, eventually)).kind is OutcomeKind.CANCELLED
        await eventually(lambda: not rig.worktree().exists())


async def test_what_ended_while_no_runner_was_there_is_removed_at_the_start(rig: Rig, eventually: Eventually) -> None:
    """Also a worktree that nobody owns, which an earlier life was about to make or to delete."""
    settings = rig.settings(rig.agent())
    async with running(settings):
        await rig.outcome(await rig.order(), eventually)
    rig.revision += 1
    await rig.commit(None, "done")
    stray = rig.worktree().with_name("shop.SHOP-99")
    stray.mkdir()
    (rig.folder / "runner-1" / "trash" / "half" / "gone").mkdir(parents=True)
    async with running(settings):
        await eventually(lambda: not rig.worktree().exists() and not stray.exists())
        await eventually(lambda: not _things(rig.folder / "runner-1" / "trash"))
    assert not _things(rig.folder / "runner-1" / "tenants")


def _things(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def _branches(heads: Path) -> list[str]:
    """Names below a folder that may be going just now, at which `rglob` stumbles."""
    return [name for _, _, names in os.walk(heads) for name in names]
