"""REST: pull requests, from opening to merging."""

from starlette.responses import JSONResponse, Response

from conveyor.simulator.gitea.merge import MergeOrder, merge_pull
from conveyor.simulator.gitea.pulls import (
    NewPull,
    PullEdit,
    edit_pull,
    find_pull,
    open_pull,
    request_reviewers,
    update_pull,
)
from conveyor.simulator.gitea.rest import Call, Endpoint, in_repo
from conveyor.simulator.gitea.rest_contents import commits_response
from conveyor.simulator.gitea.world import RefusalError


def endpoints() -> list[Endpoint]:
    """Return the endpoints of this chapter."""
    one = "/pulls/{number:int}"
    return [
        in_repo("GET", "/pulls", list_pulls, "read"),
        in_repo("POST", "/pulls", create_pull, "read"),
        in_repo("GET", one, get_pull, "read"),
        in_repo("PATCH", one, patch_pull, "read"),
        in_repo("GET", f"{one}/merge", is_merged, "read"),
        in_repo("POST", f"{one}/merge", merge, "read"),
        in_repo("POST", f"{one}/update", update, "write"),
        in_repo("GET", f"{one}/commits", list_commits, "read"),
        in_repo("GET", f"{one}/files", list_files, "read"),
        in_repo("POST", f"{one}/requested_reviewers", ask_reviewers, "read"),
        in_repo("GET", "/pulls/{base}/{head:path}", get_by_branches, "read"),
    ]


async def list_pulls(call: Call) -> Response:
    """List pull requests by state, base and poster; there is no filter by head."""
    state, poster = call.query.get("state", "open"), call.query.get("poster")
    base = None if call.forge.flavour.is_forgejo else call.query.get("base_branch")
    found = [
        pull
        for pull in call.repo.pulls.values()
        if state in ("all", pull.state) and base in (None, pull.base) and poster in (None, pull.user.login)
    ]
    by_update = call.query.get("sort") == "recentupdate"
    found.sort(key=lambda pull: (pull.updated_at if by_update else "", pull.number), reverse=True)
    shown, headers = call.page(found)
    return JSONResponse([call.forge.shapes.pull(call.repo, pull) for pull in shown], headers=headers)


async def create_pull(call: Call) -> Response:
    """Open a pull request: 201, even without any change; 409 names the one that exists."""
    reviewers = tuple(str(login) for login in call.body.get("reviewers") or [])
    new = NewPull(call.word("head"), call.word("base"), call.word("title"), call.word("body"), reviewers)
    pull = await open_pull(call.forge, call.repo, new, call.user)
    return JSONResponse(call.forge.shapes.pull(call.repo, pull), 201)


async def get_pull(call: Call) -> Response:
    """Show a pull request as it stands."""
    return JSONResponse(call.forge.shapes.pull(call.repo, call.pull))


async def get_by_branches(call: Call) -> Response:
    """Show the first pull request ever made between two branches, whatever became of it."""
    pull = find_pull(call.repo, call.path["base"], call.path["head"])
    return JSONResponse(call.forge.shapes.pull(call.repo, pull))


async def patch_pull(call: Call) -> Response:
    """Change a pull request: 201, not 200."""
    pull = call.pull
    if call.user.login != pull.user.login and not call.repo.allows(call.user, "write"):
        raise RefusalError(403, "user should have a permission to write to a repo")
    texts = {key: call.word(key) for key in ("title", "body", "state", "base") if call.body.get(key) is not None}
    edit_pull(call.forge, call.repo, pull, PullEdit(**texts), call.user)
    return JSONResponse(call.forge.shapes.pull(call.repo, pull), 201)


async def is_merged(call: Call) -> Response:
    """Answer 204 once merged, else 404."""
    if not call.pull.merged:
        raise RefusalError(404, "The target couldn't be found.")
    return Response(status_code=204)


async def merge(call: Call) -> Response:
    """Merge: 200 without a body, or one of the refusals of Gitea's table."""
    order = MergeOrder(
        style=call.word("Do") or call.word("do"),
        head_commit_id=call.word("head_commit_id"),
        title=call.word("MergeTitleField") or call.word("merge_title_field"),
        message=call.word("MergeMessageField") or call.word("merge_message_field"),
        delete_branch=bool(call.body.get("delete_branch_after_merge")),
        force=bool(call.body.get("force_merge")),
    )
    await merge_pull(call.forge, call.repo, call.pull, order, call.user)
    return Response(status_code=200)


async def update(call: Call) -> Response:
    """Bring the base into the head: 200 without a body."""
    style = call.query.get("style", "merge")
    if style not in ("merge", "rebase"):
        raise RefusalError(422, f"invalid update style: {style}")
    await update_pull(call.forge, call.repo, call.pull, style, call.user)
    return Response(status_code=200)


async def list_commits(call: Call) -> Response:
    """List what the pull request brings, newest first."""
    repo, pull = call.repo, call.pull
    return await commits_response(call, repo, f"{pull.extent.merge_base}..{repo.head_sha(pull)}")


async def list_files(call: Call) -> Response:
    """List the files the pull request touches."""
    repo, pull = call.repo, call.pull
    if not pull.extent.merge_base:
        return JSONResponse([])
    delta = await repo.git.diff(pull.extent.merge_base, repo.head_sha(pull))
    named = (("added", delta.added), ("deleted", delta.removed), ("changed", delta.modified))
    files = [{"filename": path, "status": status} for status, paths in named for path in paths]
    shown, headers = call.page(files)
    return JSONResponse(shown, headers=headers)


async def ask_reviewers(call: Call) -> Response:
    """Ask people for a review."""
    logins = tuple(str(login) for login in call.body.get("reviewers") or [])
    request_reviewers(call.forge, call.repo, call.pull, logins, call.user)
    return JSONResponse([], 201)
