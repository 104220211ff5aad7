"""A worktree that is checked out ahead: a new task gets it as if it had been made just then, or one that was."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from conveyor.runner.disk import Disk
from conveyor.runner.standby import Standby
from conveyor.runner.workspace import GitError, Workspaces
from conveyor.runner.workspace.spare import Spare
from tests.conftest import wait_until
from tests.unit.runner.forge import Forge, plain_git, publish, request_for

OTHER = ("SHOP-13", "feature/SHOP-13-x")
CLEAN = [".conveyor", ".git", ".gitignore", "README.md"]


async def wanted(forge: Forge, workspaces: Workspaces) -> Spare:
    """Have a first task's worktree made, and say that it took long."""
    first = await workspaces.prepare(request_for(forge))
    workspaces.finish(first)
    spare = workspaces._mirror(request_for(forge)).spare
    assert not spare.is_wanted, "of a small repository none is made ahead"
    spare.want("main")
    return spare


def place(root: Path) -> Path:
    return root / "spares" / "acme" / "shop" / "spare"


async def test_a_new_task_gets_the_spare_one_brought_up_to_date(
    forge: Forge, workspaces: Workspaces, tmp_path: Path
) -> None:
    await wanted(forge, workspaces)
    assert await workspaces.make_spare()
    assert not await workspaces.make_spare(), "one is enough"
    made = (place(tmp_path / "root") / ".gitignore").stat().st_ino
    forge.push("main", {"README.md": "moved\n", "more.txt": "more"})
    workspace = await workspaces.prepare(request_for(forge, *OTHER))
    assert workspace.is_new
    assert (workspace.path / ".gitignore").stat().st_ino == made
    assert not place(tmp_path / "root").exists()
    assert (workspace.path / "README.md").read_text() == "moved\n"
    assert sorted(item.name for item in workspace.path.iterdir()) == [*CLEAN, "more.txt"]
    assert forge.git("status", "--porcelain", cwd=workspace.path) == ""
    assert forge.git("branch", "--show-current", cwd=workspace.path) == OTHER[1]
    (workspace.path / "work.txt").write_text("work")
    assert await publish(workspaces, workspace) == forge.commit_of(OTHER[1])
    assert await workspaces.make_spare(), "the next one finds one again"


async def test_the_branch_of_a_task_that_is_continued_elsewhere_is_what_it_holds(
    forge: Forge, workspaces: Workspaces
) -> None:
    await wanted(forge, workspaces)
    await workspaces.make_spare()
    there = forge.push(OTHER[1], {"theirs.txt": "theirs"}, base="origin/main")
    workspace = await workspaces.prepare(request_for(forge, *OTHER))
    assert (workspace.base, workspace.expected) == (there, there)
    assert (workspace.path / "theirs.txt").read_text() == "theirs"


def _folder_removed(root: Path) -> None:
    shutil.rmtree(place(root))


def _index_is_garbage(root: Path) -> None:
    (root / "mirrors" / "acme" / "shop.git" / "worktrees" / "spare" / "index").write_bytes(b"garbage")


def _administration_removed(root: Path) -> None:
    shutil.rmtree(root / "mirrors" / "acme" / "shop.git" / "worktrees" / "spare")


def _mirror_removed(root: Path) -> None:
    shutil.rmtree(root / "mirrors" / "acme" / "shop.git")


def _dirty(root: Path) -> None:
    (place(root) / "README.md").write_text("other\n")
    (place(root) / "untracked").write_text("x")
    (place(root) / ".git").unlink()


@pytest.mark.behaviour("RU-2")
@pytest.mark.parametrize("harm", [_folder_removed, _index_is_garbage, _administration_removed, _mirror_removed, _dirty])
async def test_a_broken_spare_one_costs_a_checkout_and_nothing_else(
    harm: Callable[[Path], None], forge: Forge, workspaces: Workspaces, tmp_path: Path
) -> None:
    await wanted(forge, workspaces)
    await workspaces.make_spare()
    harm(tmp_path / "root")
    workspace = await workspaces.prepare(request_for(forge, *OTHER))
    assert workspace.is_new
    assert sorted(item.name for item in workspace.path.iterdir()) == CLEAN
    assert (workspace.path / "README.md").read_text() == "hello\n"
    (workspace.path / "work.txt").write_text("work")
    assert await publish(workspaces, workspace) == forge.commit_of(OTHER[1])


async def test_one_that_an_earlier_life_left_is_deleted_and_never_used(
    forge: Forge, workspaces: Workspaces, tmp_path: Path
) -> None:
    """It may be half made."""
    await wanted(forge, workspaces)
    await workspaces.make_spare()
    later = Workspaces(tmp_path / "root", plain_git())
    await later.remove_strays()
    assert not place(tmp_path / "root").exists()
    await wanted(forge, later)
    assert await later.make_spare(), "what git still knows of the old one is in nobody's way"
    assert (await later.prepare(request_for(forge, *OTHER))).is_new


async def test_one_that_cannot_be_made_is_not_tried_for_ever(forge: Forge, workspaces: Workspaces) -> None:
    spare = await wanted(forge, workspaces)
    spare.want("no-such-branch")
    with pytest.raises(GitError):
        await workspaces.make_spare()
    assert not await workspaces.make_spare()


async def test_a_full_disk_takes_the_spare_ones_first(forge: Forge, workspaces: Workspaces, tmp_path: Path) -> None:
    await wanted(forge, workspaces)
    await workspaces.make_spare()
    assert await workspaces.drop_spares() == 1
    assert not place(tmp_path / "root").exists()
    assert not await workspaces.make_spare(), "none is made again until a new task has to wait for its worktree"
    assert await workspaces.drop_spares() == 0


async def test_it_is_made_while_the_runner_rests_and_a_stop_need_not_wait_for_it(
    forge: Forge, workspaces: Workspaces, tmp_path: Path
) -> None:
    await wanted(forge, workspaces)
    idle, stopping = asyncio.Event(), asyncio.Event()
    life = asyncio.create_task(Standby(workspaces, idle, Disk(tmp_path, 0)).run(stopping))
    idle.set()
    await wait_until(place(tmp_path / "root").exists, timeout_s=20)
    stopping.set()
    async with asyncio.timeout(5):
        await life


async def test_a_worktree_that_was_never_finished_is_made_anew_and_still_counts_as_new(
    forge: Forge, workspaces: Workspaces
) -> None:
    """Its hook may have run by half, or git may have been killed while it checked out."""
    cut_off = await workspaces.prepare(request_for(forge))
    (cut_off.path / "cache").mkdir()
    again = await workspaces.prepare(request_for(forge))
    assert again.is_new
    assert not (again.path / "cache").exists()
    workspaces.finish(again)
    assert not (await workspaces.prepare(request_for(forge))).is_new


@pytest.mark.behaviour("RU-2")
@pytest.mark.parametrize("has_spare", [False, True])
async def test_a_change_of_the_same_size_in_the_same_second_is_never_lost(
    forge: Forge, workspaces: Workspaces, has_spare: bool
) -> None:
    """Git knows a file by its size and the second of its time: such a change looks like none."""
    names = [f"file{number}.txt" for number in range(30)]
    forge.push("main", dict.fromkeys(names, "old\n"))
    await wanted(forge, workspaces)
    if has_spare:
        await workspaces.make_spare()
    workspace = await workspaces.prepare(request_for(forge, *OTHER))
    for name in names:
        with (workspace.path / name).open("r+") as file:
            file.write("new\n")
    await publish(workspaces, workspace)
    assert {forge.show(OTHER[1], name) for name in names} == {"new"}
    workspace = await workspaces.prepare(request_for(forge, *OTHER))
    for name in names:
        (workspace.path / name).write_text("odd\n")
    workspace = await workspaces.prepare(request_for(forge, *OTHER))  # that run was lost: nothing of it stays
    assert {(workspace.path / name).read_text() for name in names} == {"new\n"}
