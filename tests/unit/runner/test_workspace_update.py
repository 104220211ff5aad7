"""The target branch comes into the task's branch before a run, by rebase or merge; a conflict is told, not suffered."""

import pytest
from msgspec.structs import replace

from conveyor.contracts.commands import Update
from conveyor.runner.workspace import Request, Workspaces
from tests.unit.runner.forge import BRANCH, Forge, publish, request_for

WAYS = pytest.mark.parametrize("update", [Update.REBASE, Update.MERGE])


def wanting(forge: Forge, update: Update) -> Request:
    return replace(request_for(forge), update=update)


async def begin(forge: Forge, workspaces: Workspaces, files: dict[str, str]) -> None:
    """A branch with work on it, and a target that has moved on."""
    first = await workspaces.prepare(request_for(forge))
    for name, text in files.items():
        (first.path / name).write_text(text)
    await publish(workspaces, first)
    forge.push("main", {"README.md": "hello, world\n", "news.txt": "news\n"}, base="origin/main")


@pytest.mark.behaviour("RU-2")
@WAYS
async def test_the_target_is_brought_in_and_pushed_with_the_work(
    forge: Forge, workspaces: Workspaces, update: Update
) -> None:
    await begin(forge, workspaces, {"mine.txt": "mine"})
    workspace = await workspaces.prepare(wanting(forge, update))
    assert workspace.conflicts == ()
    assert (workspace.path / "news.txt").read_text() == "news\n"
    assert (workspace.path / "mine.txt").read_text() == "mine"
    (workspace.path / "more.txt").write_text("more")
    head = await publish(workspaces, workspace)
    assert forge.commit_of(BRANCH) == head
    assert sorted(forge.files(BRANCH)) == [".gitignore", "README.md", "mine.txt", "more.txt", "news.txt"]
    merges = forge.git("log", "--merges", "--format=%s", BRANCH, cwd=forge.bare)
    assert bool(merges) is (update is Update.MERGE)
    assert forge.git("merge-base", "main", BRANCH, cwd=forge.bare) == forge.commit_of("main")


@WAYS
async def test_a_run_that_leaves_nothing_pushes_what_was_brought_in(
    forge: Forge, workspaces: Workspaces, update: Update
) -> None:
    """A reviewer judges the branch as it would be merged, so that is what lies on the forge."""
    await begin(forge, workspaces, {"mine.txt": "mine"})
    workspace = await workspaces.prepare(wanting(forge, update))
    head = await publish(workspaces, workspace)
    assert head == workspace.base != workspace.expected
    assert not await workspaces.has_changed(workspace, head)
    assert forge.commit_of(BRANCH) == head


@WAYS
async def test_a_conflict_leaves_the_branch_as_it_was_and_names_the_files(
    forge: Forge, workspaces: Workspaces, update: Update
) -> None:
    await begin(forge, workspaces, {"README.md": "hello, all\n", "mine.txt": "mine"})
    before = forge.commit_of(BRANCH)
    for _ in range(2):
        workspace = await workspaces.prepare(wanting(forge, update))
        assert workspace.conflicts == ("README.md",)
        assert (workspace.base, workspace.expected) == (before, before)
        assert (workspace.path / "README.md").read_text() == "hello, all\n"
    (workspace.path / "README.md").write_text("hello, all the world\n")
    await publish(workspaces, workspace)
    assert forge.show(BRANCH, "README.md") == "hello, all the world"


@WAYS
async def test_a_new_or_current_branch_has_nothing_to_bring_in(
    forge: Forge, workspaces: Workspaces, update: Update
) -> None:
    workspace = await workspaces.prepare(wanting(forge, update))
    assert (workspace.base, workspace.expected) == (forge.commit_of("main"), "")
    (workspace.path / "mine.txt").write_text("mine")
    head = await publish(workspaces, workspace)
    assert (await workspaces.prepare(wanting(forge, update))).base == head


async def test_tasks_share_one_mirror_and_disturb_each_other_nowhere(forge: Forge, workspaces: Workspaces) -> None:
    """Five tasks of one repository at once: one set of objects, five worktrees, five branches."""
    requests = [request_for(forge, f"SHOP-{number}", f"feature/SHOP-{number}") for number in range(5)]
    prepared = [await workspaces.prepare(request) for request in requests]
    assert len({workspace.mirror for workspace in prepared}) == 1
    for workspace in prepared:
        (workspace.path / f"{workspace.request.key}.txt").write_text(workspace.request.key)
    for workspace in prepared:
        await publish(workspaces, workspace)
    for workspace in prepared:
        assert forge.files(workspace.request.branch) == [".gitignore", "README.md", f"{workspace.request.key}.txt"]
    await workspaces.remove(requests[0])
    assert [request.key for request in workspaces.tenants] == ["SHOP-1", "SHOP-2", "SHOP-3", "SHOP-4"]
    assert (prepared[1].path / "SHOP-1.txt").exists()


async def test_mirrors_are_packed_without_harm(forge: Forge, workspaces: Workspaces) -> None:
    workspace = await workspaces.prepare(request_for(forge))
    (workspace.path / "a.txt").write_text("a")
    head = await publish(workspaces, workspace)
    await workspaces.maintain()
    assert (await workspaces.prepare(request_for(forge))).base == head
    assert list((workspace.mirror / "objects" / "pack").glob("*.pack"))
