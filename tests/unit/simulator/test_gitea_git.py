"""The simulated Gitea serves real git over HTTP."""

from pathlib import Path
from typing import Any

import httpx
import pytest

REPO = "orch/demo"


@pytest.fixture
async def clone(bench: Any, tmp_path: Path) -> Path:
    await bench.git("clone", "-q", bench.gitea.clone_url(REPO, user="orch"), "clone", cwd=tmp_path)
    return tmp_path / "clone"


async def test_a_clone_holds_the_files_and_the_default_branch(bench: Any, clone: Path) -> None:
    assert (clone / "README.md").read_text() == "# demo\n"
    assert await bench.git("branch", "--show-current", cwd=clone) == "main"


async def test_a_pushed_branch_is_known_at_once_and_told_as_create_then_push(hooked: Any, clone: Path) -> None:
    (clone / "x.py").write_text("x = 1\n")
    await hooked.git("checkout", "-qb", "agent/task-1", cwd=clone)
    await hooked.git("add", ".", cwd=clone)
    await hooked.git("commit", "-qm", "add x", cwd=clone)
    await hooked.git("push", "-q", "origin", "agent/task-1", cwd=clone)
    sha = await hooked.git("rev-parse", "HEAD", cwd=clone)
    assert hooked.gitea.branch_sha(REPO, "agent/task-1") == sha
    await hooked.gitea.settled()
    create, push = hooked.heard
    assert (create.body["ref"], create.body["sha"]) == ("agent/task-1", sha)
    assert (push.body["ref"], push.body["before"], push.body["after"]) == ("refs/heads/agent/task-1", "0" * 40, sha)
    assert [commit["message"].strip() for commit in push.body["commits"]] == ["add x", "Initial commit"]


async def test_a_push_larger_than_gits_buffer_is_streamed(bench: Any, clone: Path) -> None:
    blob = bytes(range(256)) * 16_384
    (clone / "big.bin").write_bytes(blob)
    await bench.git("-c", "core.compression=0", "commit", "--allow-empty", "-qm", "x", cwd=clone)
    await bench.git("add", ".", cwd=clone)
    await bench.git("-c", "core.compression=0", "commit", "-qm", "big", cwd=clone)
    await bench.git("-c", "core.compression=0", "push", "-q", "origin", "main", cwd=clone)
    assert await bench.gitea.read_file(REPO, "main", "big.bin") == blob.decode("utf-8", "replace")


async def test_a_request_larger_than_a_pipe_is_read_whole_before_git_answers(bench: Any) -> None:
    have = "".join(f"0032have {number:040x}\n" for number in range(1, 40_000))
    want = f"0032want {bench.gitea.branch_sha(REPO, 'main')}\n0000{have}0009done\n"
    service = f"{bench.gitea.clone_url(REPO, user='orch')}/git-upload-pack"
    kind = {"Content-Type": "application/x-git-upload-pack-request"}
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
        answer = await client.post(service, content=want.encode(), headers=kind)
    assert answer.status_code == 200
    assert b"PACK" in answer.content


async def test_a_token_opens_git_in_either_place(bench: Any, clone: Path) -> None:
    token = bench.gitea.create_token("orch")
    for user, password in (("orch", token), (token, "x-oauth-basic")):
        host = bench.gitea.url.removeprefix("http://")
        await bench.git("ls-remote", f"http://{user}:{password}@{host}/{REPO}.git", cwd=clone)


async def test_strangers_and_wrong_passwords_are_refused(bench: Any, clone: Path) -> None:
    bench.gitea.create_user("eve")
    said = await bench.git("ls-remote", bench.gitea.clone_url(REPO), cwd=clone, code=128)
    assert "could not read Username" in said
    bad = bench.gitea.clone_url(REPO, user="orch", password="wrong")
    assert "Authentication failed" in await bench.git("ls-remote", bad, cwd=clone, code=128)
    assert "not found" in await bench.git("ls-remote", bench.gitea.clone_url(REPO, user="eve"), cwd=clone, code=128)


async def test_a_reader_cannot_push(bench: Any, clone: Path) -> None:
    bench.gitea.create_user("reader")
    bench.gitea.add_collaborator(REPO, "reader", "read")
    await bench.git("commit", "--allow-empty", "-qm", "x", cwd=clone)
    address = bench.gitea.clone_url(REPO, user="reader")
    assert "403" in await bench.git("push", address, "HEAD:main", cwd=clone, code=128)


async def test_a_push_that_is_behind_is_rejected_by_git(bench: Any, clone: Path) -> None:
    await bench.gitea.push(REPO, "main", {"other.txt": "theirs\n"})
    await bench.git("commit", "--allow-empty", "-qm", "mine", cwd=clone)
    assert "fetch first" in await bench.git("push", "origin", "main", cwd=clone, code=1)


async def test_a_persons_commit_is_fetched_and_a_deleted_file_is_gone(bench: Any, clone: Path) -> None:
    sha = await bench.gitea.push(REPO, "main", {"a/b.txt": "hello\n", "README.md": None}, by="critic")
    await bench.git("pull", "-q", cwd=clone)
    assert await bench.git("log", "-1", "--format=%H %an", cwd=clone) == f"{sha} critic"
    assert (clone / "a/b.txt").read_text() == "hello\n"
    assert not (clone / "README.md").exists()


async def test_deleting_a_branch_over_git_tells_delete_only_and_closes_its_pull_request(
    hooked: Any, clone: Path
) -> None:
    await hooked.gitea.push(REPO, "agent/x", {"x": "1"})
    await hooked.gitea.open_pull(REPO, "agent/x")
    await hooked.kinds()
    await hooked.git("push", "-q", "origin", ":agent/x", cwd=clone)
    assert await hooked.kinds() == [("delete", "delete", ""), ("pull_request", "pull_request", "closed")]
    shown = (await hooked.call("GET", "/pulls/1")).json()
    assert (shown["state"], shown["head"]["ref"], shown["head"]["label"]) == ("closed", "refs/pull/1/head", "agent/x")


async def test_tags_are_told_with_create_and_push(hooked: Any, clone: Path) -> None:
    await hooked.git("tag", "v1", cwd=clone)
    await hooked.git("push", "-q", "origin", "v1", cwd=clone)
    assert await hooked.kinds() == [("create", "create", ""), ("push", "push", "")]


async def test_the_world_survives_a_stop_and_a_start_on_the_same_port(bench: Any, clone: Path) -> None:
    url = bench.gitea.url
    await bench.gitea.stop()
    await bench.gitea.start()
    assert bench.gitea.url == url
    await bench.git("fetch", "-q", cwd=clone)
