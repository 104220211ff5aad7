"""Worktrees over real repositories: whatever state they are in, a run starts clean and its work reaches the forge."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from conveyor.contracts.errors import PermanentError, TransientError
from conveyor.runner.workspace import Git, PushRejectedError, Request, Workspace, Workspaces
from conveyor.runner.workspace.places import safe_name
from tests.unit.runner.forge import BRANCH, Forge, plain_git, publish, request_for


@pytest.mark.behaviour("RU-2")
async def test_a_new_branch_starts_from_the_target_and_is_pushed(forge: Forge, workspaces: Workspaces) -> None:
    workspace = await workspaces.prepare(request_for(forge))
    assert (workspace.base, workspace.expected) == (forge.commit_of("main"), "")
    (workspace.path / "new.txt").write_text("new")
    head = await publish(workspaces, workspace)
    assert forge.commit_of(BRANCH) == head
    assert await workspaces.has_changed(workspace, head)
    assert await workspaces.differs_from_target(workspace, head)
    assert forge.git("log", "-1", "--format=%s|%an", BRANCH, cwd=forge.bare) == "SHOP-12 developer: work|Conveyor"


async def test_an_existing_branch_is_continued_wherever_it_moved(forge: Forge, workspaces: Workspaces) -> None:
    await workspaces.prepare(request_for(forge))
    there = forge.push(BRANCH, {"theirs.txt": "theirs"}, base="origin/main")
    workspace = await workspaces.prepare(request_for(forge))
    assert (workspace.base, workspace.expected) == (there, there)
    assert (workspace.path / "theirs.txt").read_text() == "theirs"
    rewritten = forge.push(BRANCH, {"other.txt": "other"}, base="origin/main")
    assert (await workspaces.prepare(request_for(forge))).base == rewritten
    assert not (workspace.path / "theirs.txt").exists()


async def test_the_runners_folder_is_never_committed(forge: Forge, workspaces: Workspaces) -> None:
    """Neither by the runner, nor by an agent that adds everything itself."""
    workspace = await workspaces.prepare(request_for(forge))
    (workspace.path / ".conveyor" / "result-1.json").write_text("{}")
    (workspace.path / "a.txt").write_text("a")
    forge.git("add", "--all", cwd=workspace.path)
    forge.git("commit", "--quiet", "-m", "by the agent", cwd=workspace.path)
    (workspace.path / "b.txt").write_text("b")
    await publish(workspaces, workspace)
    assert forge.files(BRANCH) == [".gitignore", "README.md", "a.txt", "b.txt"]


async def test_a_run_that_leaves_nothing_has_the_base_as_its_head(forge: Forge, workspaces: Workspaces) -> None:
    workspace = await workspaces.prepare(request_for(forge))
    head = await workspaces.commit(workspace, "nothing")
    assert head == workspace.base
    assert not await workspaces.has_changed(workspace, head)
    assert not await workspaces.differs_from_target(workspace, head)


def _dirty(workspace: Workspace, _: Forge) -> None:
    (workspace.path / "README.md").write_text("half done")
    (workspace.path / "untracked").mkdir()
    (workspace.path / "untracked" / "file").write_text("x")
    (workspace.path / ".conveyor" / "result-old.json").write_text("{}")


def _locked(workspace: Workspace, _: Forge) -> None:
    (workspace.git_dir / "index.lock").write_text("")
    (workspace.git_dir / "HEAD.lock").write_text("")


def _references_locked(workspace: Workspace, forge: Forge) -> None:
    """A fetch and an agent's commit that were killed."""
    forge.push("main", {"README.md": "hello\n", "more.txt": "more"})
    for name in ("packed-refs.lock", "refs/remotes/origin/main.lock", f"refs/heads/{BRANCH}.lock"):
        (workspace.mirror / name).write_text("")
    forge.push("main", {"more.txt": "less"})
    forge.git("rm", "--quiet", "more.txt")
    forge.push("main", {})


def _git_file_removed(workspace: Workspace, _: Forge) -> None:
    (workspace.path / ".git").unlink()


def _git_file_replaced_by_a_repository(workspace: Workspace, forge: Forge) -> None:
    (workspace.path / ".git").unlink()
    forge.git("init", "--quiet", cwd=workspace.path)


def _folder_removed(workspace: Workspace, _: Forge) -> None:
    shutil.rmtree(workspace.path)


def _folder_is_a_link(workspace: Workspace, forge: Forge) -> None:
    shutil.rmtree(workspace.path)
    workspace.path.symlink_to(forge.clone)


def _folder_is_a_file(workspace: Workspace, _: Forge) -> None:
    shutil.rmtree(workspace.path)
    workspace.path.write_text("no folder")


def _index_is_garbage(workspace: Workspace, _: Forge) -> None:
    (workspace.git_dir / "index").write_bytes(b"garbage")


def _administration_removed(workspace: Workspace, _: Forge) -> None:
    shutil.rmtree(workspace.git_dir)


def _mirror_removed(workspace: Workspace, _: Forge) -> None:
    shutil.rmtree(workspace.mirror)


def _mirror_without_objects(workspace: Workspace, _: Forge) -> None:
    shutil.rmtree(workspace.mirror / "objects")
    (workspace.mirror / "objects").mkdir()


def _mirror_points_elsewhere(workspace: Workspace, _: Forge) -> None:
    (workspace.mirror / "config").write_text('[core]\nbare = true\n[remote "origin"]\nurl = file:///elsewhere\n')


def _other_branch_checked_out(workspace: Workspace, forge: Forge) -> None:
    forge.git("checkout", "--quiet", "-b", "agents-own", cwd=workspace.path)


def _rebase_in_progress(workspace: Workspace, forge: Forge) -> None:
    (workspace.path / "README.md").write_text("ours\n")
    forge.git("commit", "--quiet", "--all", "-m", "ours", cwd=workspace.path)
    forge.git("checkout", "--quiet", "-b", "other", "HEAD~1", cwd=workspace.path)
    (workspace.path / "README.md").write_text("others\n")
    forge.git("commit", "--quiet", "--all", "-m", "others", cwd=workspace.path)
    with pytest.raises(subprocess.CalledProcessError):
        forge.git("rebase", BRANCH, cwd=workspace.path)


@pytest.mark.parametrize(
    "harm",
    [
        _dirty,
        _locked,
        _references_locked,
        _git_file_removed,
        _git_file_replaced_by_a_repository,
        _folder_removed,
        _folder_is_a_link,
        _folder_is_a_file,
        _index_is_garbage,
        _administration_removed,
        _mirror_removed,
        _mirror_without_objects,
        _mirror_points_elsewhere,
        _other_branch_checked_out,
        _rebase_in_progress,
    ],
)
async def test_a_harmed_worktree_is_repaired_or_rebuilt(
    harm: Callable[[Workspace, Forge], None], forge: Forge, workspaces: Workspaces
) -> None:
    harmed = await workspaces.prepare(request_for(forge))
    workspaces.finish(harmed)
    harm(harmed, forge)
    workspace = await workspaces.prepare(request_for(forge))
    assert (workspace.path / "README.md").read_text() == "hello\n"
    assert sorted(item.name for item in workspace.path.iterdir()) == [".conveyor", ".git", ".gitignore", "README.md"]
    assert list((workspace.path / ".conveyor").iterdir()) == []
    assert (forge.clone / "README.md").exists()
    (workspace.path / "work.txt").write_text("work")
    assert forge.git("status", "--porcelain", cwd=workspace.path) == "?? work.txt"
    head = await publish(workspaces, workspace)
    assert forge.commit_of(BRANCH) == head


async def test_caches_survive_from_run_to_run(forge: Forge, workspaces: Workspaces) -> None:
    workspace = await workspaces.prepare(request_for(forge))
    workspaces.finish(workspace)
    (workspace.path / "cache").mkdir()
    (workspace.path / "cache" / "kept").write_text("kept")
    assert (await workspaces.prepare(request_for(forge))).path == workspace.path
    assert (workspace.path / "cache" / "kept").exists()


@pytest.mark.behaviour("RU-2")
async def test_tasks_of_one_repository_have_worktrees_of_their_own(forge: Forge, workspaces: Workspaces) -> None:
    one = await workspaces.prepare(request_for(forge))
    two = await workspaces.prepare(request_for(forge, "SHOP-13", "feature/SHOP-13-x"))
    (one.path / "one.txt").write_text("1")
    (two.path / "two.txt").write_text("2")
    await publish(workspaces, one)
    await publish(workspaces, two)
    assert "two.txt" not in forge.files(BRANCH)
    assert "one.txt" not in forge.files("feature/SHOP-13-x")


@pytest.mark.behaviour("RU-2")
async def test_work_is_rebased_onto_what_somebody_pushed_meanwhile(forge: Forge, workspaces: Workspaces) -> None:
    forge.push(BRANCH, {"start.txt": "start"}, base="origin/main")
    workspace = await workspaces.prepare(request_for(forge))
    (workspace.path / "ours.txt").write_text("ours")
    forge.push(BRANCH, {"theirs.txt": "theirs"})
    head = await publish(workspaces, workspace)
    assert forge.commit_of(BRANCH) == head
    assert {"ours.txt", "theirs.txt", "start.txt"} <= set(forge.files(BRANCH))


async def test_work_in_conflict_with_a_push_is_a_clear_failure(forge: Forge, workspaces: Workspaces) -> None:
    forge.push(BRANCH, {"file.txt": "start"}, base="origin/main")
    workspace = await workspaces.prepare(request_for(forge))
    (workspace.path / "file.txt").write_text("ours")
    theirs = forge.push(BRANCH, {"file.txt": "theirs"})
    with pytest.raises(PushRejectedError, match="conflicts"):
        await publish(workspaces, workspace)
    assert forge.commit_of(BRANCH) == theirs
    assert (await workspaces.prepare(request_for(forge))).base == theirs


async def test_a_branch_deleted_meanwhile_is_made_again(forge: Forge, workspaces: Workspaces) -> None:
    forge.push(BRANCH, {"file.txt": "start"}, base="origin/main")
    workspace = await workspaces.prepare(request_for(forge))
    (workspace.path / "file.txt").write_text("ours")
    forge.git("push", "--quiet", "origin", "--delete", BRANCH)
    head = await publish(workspaces, workspace)
    assert forge.commit_of(BRANCH) == head


async def test_a_push_that_got_through_before_is_no_rejection(forge: Forge, workspaces: Workspaces) -> None:
    workspace = await workspaces.prepare(request_for(forge))
    (workspace.path / "file.txt").write_text("ours")
    head = await publish(workspaces, workspace)
    assert await workspaces.push(workspace, head) == head


async def test_a_rule_of_the_forge_is_told_in_its_words(forge: Forge, workspaces: Workspaces) -> None:
    hook = forge.bare / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho branch is protected >&2\nexit 1\n")
    hook.chmod(0o755)
    workspace = await workspaces.prepare(request_for(forge))
    (workspace.path / "file.txt").write_text("ours")
    with pytest.raises(PushRejectedError, match="branch is protected"):
        await publish(workspaces, workspace)


async def test_hooks_of_an_agent_do_not_run_for_the_runner(
    forge: Forge, workspaces: Workspaces, tmp_path: Path
) -> None:
    workspace = await workspaces.prepare(request_for(forge))
    for name in ("pre-commit", "pre-push", "post-checkout", "post-commit", "reference-transaction"):
        hook = workspace.mirror / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran-{name}\n")
        hook.chmod(0o755)
    (workspace.path / "file.txt").write_text("ours")
    await publish(workspaces, workspace)
    await workspaces.prepare(request_for(forge))
    assert not [item.name for item in tmp_path.iterdir() if item.name.startswith("ran-")]  # noqa: ASYNC240 - a look at a small folder


async def test_a_forge_that_is_away_is_transient_and_a_missing_repository_is_not(
    forge: Forge, workspaces: Workspaces
) -> None:
    away = Request(
        project="shop", key="SHOP-1", repository="acme/away", url="http://127.0.0.1:9/acme/away.git", branch=BRANCH,
        target_branch="main",
    )  # fmt: skip
    with pytest.raises(TransientError):
        await workspaces.prepare(away)
    forge.bare.rename(forge.bare.with_name("renamed.git"))
    with pytest.raises(PermanentError):
        await workspaces.prepare(request_for(forge))


async def test_a_repository_without_its_target_branch_is_a_clear_failure(forge: Forge, workspaces: Workspaces) -> None:
    with pytest.raises(PermanentError, match="neither"):
        await workspaces.prepare(replace(request_for(forge), target_branch="trunk"))


async def test_files_of_the_target_branch_are_read_from_the_mirror(forge: Forge, workspaces: Workspaces) -> None:
    forge.push("main", {".conveyor/prompts/analyst.md": "ours"})
    await workspaces.prepare(request_for(forge))
    assert await workspaces.read_target(request_for(forge), ".conveyor/prompts/analyst.md") == "ours"
    assert await workspaces.read_target(request_for(forge), ".conveyor/prompts/tester.md") is None


async def test_a_removed_worktree_is_gone_and_can_be_made_again(forge: Forge, workspaces: Workspaces) -> None:
    workspace = await workspaces.prepare(request_for(forge))
    await workspaces.remove(request_for(forge))
    assert not workspace.path.exists()
    assert (await workspaces.prepare(request_for(forge))).path.is_dir()


@pytest.mark.behaviour("RU-2")
def test_names_are_harmless_and_never_collide() -> None:
    names = ["SHOP-12", "shop-12", "../../etc", "..", ".", "", "a/b", "a-b", "a b", "x" * 80, "x" * 81, ".git", "-rf"]
    made = [safe_name(name) for name in names]
    assert len(set(made)) == len(names)
    assert made[0] == "SHOP-12"
    assert all(name and name not in {".", ".."} and "/" not in name and name[0] not in ".-" for name in made)


async def test_a_link_out_of_the_root_is_refused(forge: Forge, workspaces: Workspaces, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "theirs").mkdir(parents=True)
    (tmp_path / "root" / "worktrees").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermanentError, match="leads out"):
        await workspaces.prepare(request_for(forge))
    assert await workspaces.remove_strays() == 0
    assert (tmp_path / "elsewhere" / "theirs").is_dir()


async def test_a_git_that_is_cancelled_dies_with_all_it_started(
    forge: Forge, tmp_path: Path, eventually: Callable[..., Awaitable[object]]
) -> None:
    note = tmp_path / "pids"
    alias = f"alias.wait=!sleep 60 & echo $$ $! > {note}.new && mv {note}.new {note}; wait"
    call = asyncio.create_task(plain_git().run(forge.bare, "-c", alias, "wait"))
    await eventually(note.exists)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    pids = note.read_text().split()
    await eventually(lambda: not any(_is_alive(pid) for pid in pids))


async def test_a_git_that_takes_too_long_is_killed_and_is_a_passing_trouble(forge: Forge) -> None:
    """Also when the one that holds its output is not git itself."""
    slow = Git(search_path=os.environ["PATH"], author=("C", "c@x"), timeout_s=0.5)  # noqa: TID251 - git has to be found
    with pytest.raises(TransientError, match=r"longer than 0\.5 s"):
        await slow.run(forge.bare, "-c", "alias.wait=!sleep 60 &", "wait")


def _is_alive(pid: str) -> bool:
    try:
        return ") Z " not in Path("/proc", pid, "stat").read_text()
    except OSError:
        return False
