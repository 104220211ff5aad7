"""Git itself against a Gitea or Forgejo: clone, push and what REST knows of it afterwards."""

import asyncio
from pathlib import Path

import pytest

from tests.fidelity.targets import GiteaTarget

pytestmark = pytest.mark.timeout(300)


async def git(*args: str, cwd: Path, code: int = 0) -> str:
    """Run git and return all it said; fail on another exit code."""
    process = await asyncio.create_subprocess_exec(
        *("git", "-c", "user.name=dev", "-c", "user.email=dev@example.test", *args),
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(cwd), "GIT_TERMINAL_PROMPT": "0"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == code, said.decode()
    return said.decode().strip()


def address(gitea: GiteaTarget, credentials: str) -> str:
    scheme, _, rest = gitea.url.partition("://")
    return f"{scheme}://{credentials}{rest}/{gitea.repo}.git"


async def test_a_pushed_branch_is_known_to_rest_and_follows_a_forced_push(gitea: GiteaTarget, tmp_path: Path) -> None:
    url, clone = address(gitea, f"anything:{gitea.tokens['owner']}@"), tmp_path / "clone"
    await git("clone", "--quiet", url, str(clone), cwd=tmp_path)
    await git("switch", "--quiet", "-c", "agent/x", cwd=clone)
    (clone / "x.txt").write_text("x\n")
    await git("add", ".", cwd=clone)
    await git("commit", "--quiet", "-m", "Add x", cwd=clone)
    await git("push", "--quiet", "origin", "agent/x", cwd=clone)
    number = await gitea.pull("agent/x")
    await git("commit", "--quiet", "--amend", "-m", "Add x well", cwd=clone)
    await git("push", "origin", "agent/x", cwd=clone, code=1)
    await git("push", "--quiet", "--force-with-lease", "origin", "agent/x", cwd=clone)
    head = await git("rev-parse", "HEAD", cwd=clone)
    assert (await gitea.call("GET", "/branches/agent/x")).json()["commit"]["id"] == head
    await gitea.judged(number)
    assert (await gitea.merge(number, Do="squash", head_commit_id=head)).status_code == 200
    await git("fetch", "--quiet", "origin", cwd=clone)
    assert (await git("show", "origin/main:x.txt", cwd=clone)) == "x"
    await git("push", "--quiet", "origin", "--delete", "agent/x", cwd=clone)
    assert (await gitea.call("GET", "/branches/agent/x")).status_code == 404


@pytest.mark.parametrize("credentials", ["", "anything:nonsense@"])
async def test_a_hidden_repository_is_cloned_by_nobody_else(
    gitea: GiteaTarget, tmp_path: Path, credentials: str
) -> None:
    await git("clone", address(gitea, credentials), "out", cwd=tmp_path, code=128)
