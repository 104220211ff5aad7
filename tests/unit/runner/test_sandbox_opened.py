"""What agents run when they open a repository comes from the target branch, and the exchange leaves no trace."""

from pathlib import Path

import pytest

from conveyor.runner.sandbox import SandboxSettings
from conveyor.runner.sandbox.settings import OPENED
from conveyor.runner.workspace import Workspaces
from tests.unit.runner.forge import BRANCH, Forge, publish, request_for
from tests.unit.runner.inside import MODES, Inside

HOOKS = ".claude/settings.json"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


def settings(mode: str) -> SandboxSettings:
    return SandboxSettings(mode=mode)  # type: ignore[arg-type] # a test's parameter


def has(forge: Forge, file: str) -> str:
    return forge.show(BRANCH, file) if file in forge.files(BRANCH) else ""


@pytest.mark.behaviour("RU-12")
@pytest.mark.parametrize("mode", MODES)
async def test_a_run_sees_the_target_branchs_and_the_branch_keeps_its_own(
    root: Path, forge: Forge, workspaces: Workspaces, mode: str
) -> None:
    forge.push("main", {HOOKS: "reviewed", ".mcp.json": "reviewed", "a/.claude/agents/x.md": "reviewed"})
    evil = {HOOKS: "evil", ".claude/hook.sh": "evil", ".mcp.json": "evil", "opencode.json": "evil"}
    forge.push(BRANCH, {**evil, "a/.claude/agents/x.md": "evil", "b/.mcp.json": "evil"}, base="origin/main")
    workspace = await workspaces.prepare(request_for(forge))
    script = (
        "cat .claude/settings.json .mcp.json a/.claude/agents/x.md; ls -A . .claude; test ! -e b; echo work > work.txt"
    )
    said = await Inside(root, settings(mode)).shell(workspace, f"{script}; git status --short")
    assert "evil" not in said
    assert "hook.sh" not in said
    assert said.startswith("reviewed" * 3)
    assert said.endswith("?? work.txt\n"), "git inside sees no change that the run did not make"
    await publish(workspaces, workspace)
    assert {file: has(forge, file) for file in evil} == dict.fromkeys(evil, "evil")
    changed = forge.git("diff", "--name-only", f"{workspace.base}..{BRANCH}", cwd=forge.bare)
    assert changed == "work.txt"


@pytest.mark.parametrize("mode", MODES)
async def test_files_only_the_target_has_are_not_committed(
    root: Path, forge: Forge, workspaces: Workspaces, mode: str
) -> None:
    forge.push(BRANCH, {"a.txt": "a"}, base="origin/main")
    forge.push("main", {HOOKS: "reviewed", '.claude/exécutable "x".sh': "reviewed"}, base="origin/main")
    workspace = await workspaces.prepare(request_for(forge))
    said = await Inside(root, settings(mode)).shell(workspace, "ls .claude | wc -l; echo work > work.txt")
    assert said.strip() == "2"
    await publish(workspaces, workspace)
    assert forge.files(BRANCH) == [".gitignore", "README.md", "a.txt", "work.txt"]


@pytest.mark.parametrize("mode", MODES)
async def test_an_agent_that_commits_everything_commits_no_exchange(
    root: Path, forge: Forge, workspaces: Workspaces, mode: str
) -> None:
    """Without walls git's list of what to leave out is the mirror's, which all its tasks share: new files slip in."""
    forge.push("main", {HOOKS: "reviewed", ".claude/new": "reviewed"})
    forge.push(BRANCH, {HOOKS: "evil", ".mcp.json": "evil", ".claude/new": ""}, base="origin/main")
    forge.git("rm", "--quiet", ".claude/new")
    forge.git("commit", "--quiet", "--amend", "-m", "without", cwd=forge.clone)
    forge.git("push", "--quiet", "--force", "origin", BRANCH)
    workspace = await workspaces.prepare(request_for(forge))
    script = "cat .claude/new; echo work > work.txt; git add -A; git commit -qm mine; echo more >> work.txt"
    assert await Inside(root, settings(mode)).shell(workspace, script) == "reviewed"
    await publish(workspaces, workspace)
    changed = forge.git("diff", "--name-only", f"{workspace.base}..{BRANCH}", cwd=forge.bare).split()
    assert changed == ([".claude/new"] if mode == "none" else []) + ["work.txt"]
    assert has(forge, HOOKS) == has(forge, ".mcp.json") == "evil"


@pytest.mark.parametrize("mode", MODES)
async def test_what_the_run_changes_itself_is_its_work(
    root: Path, forge: Forge, workspaces: Workspaces, mode: str
) -> None:
    forge.push("main", {HOOKS: "reviewed", ".claude/kept": "reviewed"})
    forge.push(BRANCH, {HOOKS: "older", ".claude/kept": "older"}, base="origin/main")
    workspace = await workspaces.prepare(request_for(forge))
    await Inside(root, settings(mode)).shell(workspace, f"echo -n mine > {HOOKS}; echo -n mine > .mcp.json")
    await publish(workspaces, workspace)
    assert [has(forge, file) for file in (HOOKS, ".mcp.json", ".claude/kept")] == ["mine", "mine", "older"]


@pytest.mark.parametrize("mode", MODES)
async def test_links_and_ignored_leftovers_are_no_way_around(
    root: Path, forge: Forge, workspaces: Workspaces, mode: str
) -> None:
    """An ignored file stays in a worktree between runs: an earlier run could have left it for this one."""
    forge.push("main", {".gitignore": "settings.local.json\n"})
    workspace = await workspaces.prepare(request_for(forge))
    inside = Inside(root, settings(mode))
    await inside.shell(
        workspace, "mkdir .claude evil; echo evil | tee evil/f > .claude/settings.local.json; ln -s evil .gemini"
    )
    await publish(workspaces, workspace)
    workspace = await workspaces.prepare(request_for(forge))
    said = await inside.shell(workspace, "ls -A")
    assert ".claude" not in said.splitlines()
    assert ".gemini" not in said.splitlines()
    await publish(workspaces, workspace)
    assert ".gemini" in forge.files(BRANCH)


async def test_hooks_of_git_that_a_run_left_are_removed(root: Path, forge: Forge, workspaces: Workspaces) -> None:
    workspace = await workspaces.prepare(request_for(forge))
    inside = Inside(root, settings("none"))
    hooks = "h=$(git rev-parse --git-common-dir)/hooks; mkdir -p $h"
    await inside.shell(workspace, f"{hooks}; printf '#!/bin/sh\\ntouch pwned' > $h/pre-commit; chmod +x $h/*")
    await inside.shell(workspace, "echo a > a; git add a; git commit -qm a; test ! -e pwned")


async def test_nothing_is_exchanged_where_nobody_wants_it(root: Path, forge: Forge, workspaces: Workspaces) -> None:
    forge.push(BRANCH, {HOOKS: "own"}, base="origin/main")
    workspace = await workspaces.prepare(request_for(forge))
    said = await Inside(root, SandboxSettings(mode="none", from_target=())).shell(workspace, f"cat {HOOKS}")
    assert said == "own"
    assert ".claude" in OPENED
