"""REST: files at a commit, files changed through the API, commits and what lies between two."""

import base64
import binascii

from starlette.responses import JSONResponse, Response

from conveyor.simulator.gitea.git import FileCommit, TreeEntry
from conveyor.simulator.gitea.rest import Call, Endpoint, in_repo
from conveyor.simulator.gitea.shapes import Json
from conveyor.simulator.gitea.world import RefusalError, Repo


def endpoints() -> list[Endpoint]:
    """Return the endpoints of this chapter."""
    return [
        in_repo("GET", "/contents", get_contents, "read"),
        in_repo("GET", "/contents/{path:path}", get_contents, "read"),
        in_repo("POST", "/contents", change_files, "write"),
        in_repo("POST", "/contents/{path:path}", create_file, "write"),
        in_repo("PUT", "/contents/{path:path}", update_file, "write"),
        in_repo("GET", "/raw/{path:path}", get_raw, "read"),
        in_repo("GET", "/commits", list_commits, "read"),
        in_repo("GET", "/git/commits/{sha}", get_commit, "read"),
        in_repo("GET", "/commits/{sha}/pull", merged_pull, "read"),
        in_repo("GET", "/compare/{span:path}", compare, "read"),
    ]


async def get_contents(call: Call) -> Response:
    """Show a file with its bytes in base64, or list a folder without them, at `ref` (default: the default branch)."""
    repo, path = call.repo, call.path.get("path", "").strip("/")
    ref = call.query.get("ref") or repo.default_branch
    entries = await repo.git.entries(ref, path)
    if entries is None:
        raise RefusalError(404, "The target couldn't be found.")
    if len(entries) == 1 and entries[0].path == path and entries[0].kind == "blob":
        return JSONResponse(await _file_shape(call, repo, entries[0], ref))
    return JSONResponse([_entry_shape(call, repo, entry, ref) for entry in entries])


def _entry_shape(call: Call, repo: Repo, entry: TreeEntry, ref: str) -> Json:
    page, api = f"{call.forge.shapes.url}/{repo.full_name}", f"{call.forge.shapes.url}/api/v1/repos/{repo.full_name}"
    return {
        "name": entry.path.rpartition("/")[2],
        "path": entry.path,
        "sha": entry.sha,
        "type": {"blob": "file", "tree": "dir"}.get(entry.kind, "submodule"),
        "size": entry.size,
        "encoding": None,
        "content": None,
        "target": None,
        "url": f"{api}/contents/{entry.path}?ref={ref}",
        "html_url": f"{page}/src/{ref}/{entry.path}",
        "git_url": f"{api}/git/{entry.kind}s/{entry.sha}",
        "download_url": f"{page}/raw/{ref}/{entry.path}" if entry.kind == "blob" else None,
        "submodule_git_url": None,
    }


async def _file_shape(call: Call, repo: Repo, entry: TreeEntry, ref: str) -> Json:
    content = base64.b64encode(await repo.git.blob(entry.sha)).decode()
    return _entry_shape(call, repo, entry, ref) | {"encoding": "base64", "content": content}


async def get_raw(call: Call) -> Response:
    """Give a file's bytes as they are."""
    repo, path = call.repo, call.path["path"]
    entries = await repo.git.entries(call.query.get("ref") or repo.default_branch, path)
    if not entries or entries[0].path != path:
        raise RefusalError(404, "The target couldn't be found.")
    return Response(await repo.git.blob(entries[0].sha), media_type="text/plain")


async def create_file(call: Call) -> Response:
    """Commit a new file; 422 when it exists."""
    return await _put(call, must_be_new=True)


async def update_file(call: Call) -> Response:
    """Commit a file over another, whose blob `sha` must match (422); without it, a new one (201)."""
    return await _put(call, must_be_new=False)


async def _put(call: Call, *, must_be_new: bool) -> Response:
    repo, path = call.repo, call.path["path"]
    branch = call.word("branch") or repo.default_branch
    known = await repo.git.entries(branch, path)
    if known and must_be_new:
        raise RefusalError(422, f"repository file already exists [path: {path}]")
    if known and call.word("sha") != known[0].sha:
        raise RefusalError(422, f"sha does not match [given: {call.word('sha')}, expected: {known[0].sha}]")
    answer = await _commit(call, {path: _decode(call.word("content"))})
    entries = await repo.git.entries(answer["commit"]["sha"], path) or []
    answer["content"] = await _file_shape(call, repo, entries[0], call.word("new_branch") or branch)
    return JSONResponse(answer, 200 if known else 201)


async def change_files(call: Call) -> Response:
    """Commit many files at once: create, update, upload, rename and delete."""
    files: dict[str, str | bytes | None] = {}
    for change in call.body.get("files") or []:
        operation, path = change.get("operation"), str(change.get("path"))
        if operation == "rename":
            files[str(change.get("from_path"))] = None
        files[path] = None if operation == "delete" else _decode(str(change.get("content") or ""))
    return JSONResponse(await _commit(call, files) | {"files": []}, 201)


def _decode(content: str) -> bytes:
    try:
        return base64.b64decode(content, validate=True)
    except binascii.Error as failure:
        raise RefusalError(422, f"[Content]: not base64: {failure}") from failure


async def _commit(call: Call, files: dict[str, str | bytes | None]) -> Json:
    repo, branch = call.repo, call.word("branch") or call.repo.default_branch
    target = call.word("new_branch") or branch
    rule = repo.protections.get(target)
    if rule is not None and not rule.enable_push:
        raise RefusalError(403, f"branch {target} is protected from file changes")
    if repo.heads and branch not in repo.heads:
        raise RefusalError(404, f"branch does not exist [name: {branch}]")
    message = call.word("message") or "Change files"
    async with repo.lock:
        who = call.forge.signature(call.user)
        sha = await repo.git.commit_files(FileCommit(target, repo.heads.get(branch), files, message, who))
        await call.forge.refs_moved(repo, call.user)
    shown = call.forge.shapes.commit(repo, await repo.git.commit(sha))
    return {"content": None, "commit": shown | shown["commit"], "verification": None}


async def list_commits(call: Call) -> Response:
    """List commits of a branch or sha, newest first."""
    sha = await call.repo.git.resolve(call.query.get("sha") or call.repo.default_branch)
    if sha is None:
        raise RefusalError(404, "The target couldn't be found.")
    return await commits_response(call, call.repo, sha)


async def commits_response(call: Call, repo: Repo, span: str) -> Response:
    """List the commits of a range with the paging headers."""
    shas, headers = call.page((await repo.git.git("rev-list", span)).splitlines())
    return JSONResponse([call.forge.shapes.commit(repo, await repo.git.commit(sha)) for sha in shas], headers=headers)


async def get_commit(call: Call) -> Response:
    """Show one commit and the files it touched."""
    repo = call.repo
    sha = await repo.git.resolve(call.path["sha"])
    if sha is None:
        raise RefusalError(404, "The target couldn't be found.")
    delta = await repo.git.delta(sha)
    named = (("added", delta.added), ("removed", delta.removed), ("modified", delta.modified))
    files = [{"filename": path, "status": status} for status, paths in named for path in paths]
    return JSONResponse(call.forge.shapes.commit(repo, await repo.git.commit(sha)) | {"files": files})


async def merged_pull(call: Call) -> Response:
    """Show the pull request that was merged as this commit; containing it is not enough."""
    for pull in call.repo.pulls.values():
        if pull.merged and pull.merge_commit_sha == call.path["sha"]:
            return JSONResponse(call.forge.shapes.pull(call.repo, pull))
    raise RefusalError(404, "The target couldn't be found.")


async def compare(call: Call) -> Response:
    """List what `head` has and `base` has not, for `base...head`."""
    repo = call.repo
    base, _, head = call.path["span"].partition("...")
    shas = [await repo.git.resolve(name) for name in (base or repo.default_branch, head)]
    if None in shas:
        raise RefusalError(404, "The target couldn't be found.")
    commits = await repo.git.commits(f"{shas[0]}..{shas[1]}", limit=250)
    shown = [call.forge.shapes.commit(repo, commit) for commit in commits]
    return JSONResponse({"total_commits": len(shown), "commits": shown})
