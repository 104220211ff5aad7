"""REST: commit statuses, with the combined status that looks at one page only."""

from starlette.responses import JSONResponse, Response

from conveyor.simulator.gitea.rest import Call, Endpoint, in_repo
from conveyor.simulator.gitea.statuses import NewStatus, combine, latest_statuses, post_status, worst
from conveyor.simulator.gitea.world import RefusalError

NOTHING = {
    **dict.fromkeys(("state", "sha", "commit_url", "url"), ""),
    **dict.fromkeys(("statuses", "repository")),
    "total_count": 0,
}
"""What Forgejo, and Gitea until 1.24, say of a commit without any status: not even which commit."""


def endpoints() -> list[Endpoint]:
    """Return the endpoints of this chapter."""
    return [
        in_repo("POST", "/statuses/{sha}", create_status, "write"),
        in_repo("GET", "/statuses/{ref:path}", list_statuses, "read"),
        in_repo("GET", "/commits/{ref:path}/statuses", list_statuses, "read"),
        in_repo("GET", "/commits/{ref:path}/status", combined_status, "read"),
    ]


async def create_status(call: Call) -> Response:
    """Post a status with any word as its state; an unknown sha is 500."""
    new = NewStatus(
        call.word("state"), call.word("context", "default"), call.word("description"), call.word("target_url")
    )
    status = await post_status(call.forge, call.repo, call.path["sha"], new, call.user)
    return JSONResponse(call.forge.shapes.status(call.repo, status), 201)


async def list_statuses(call: Call) -> Response:
    """List all rows of a commit, newest first."""
    sha = await _sha(call)
    shown, headers = call.page(call.repo.statuses.get(sha, [])[::-1])
    return JSONResponse([call.forge.shapes.status(call.repo, status) for status in shown], headers=headers)


async def combined_status(call: Call) -> Response:
    """Combine the latest status of each context: `state` and `total_count` are of the asked page alone."""
    repo, shapes = call.repo, call.forge.shapes
    if call.forge.flavour.is_forgejo:
        _refuse_slash(call)
    sha = await _sha(call)
    shown, headers = call.page(latest_statuses(repo, sha))
    if call.forge.flavour.is_forgejo and not shown:
        return JSONResponse(NOTHING, headers=headers)
    unite = worst if call.forge.flavour.is_forgejo else combine
    api = f"{shapes.url}/api/v1/repos/{repo.full_name}"
    body = {
        "state": unite([status.state for status in shown]),
        "sha": sha,
        "total_count": len(shown),
        "statuses": [shapes.status(repo, status) for status in shown] or None,
        "repository": shapes.repo(repo, call.caller.user),
        "commit_url": f"{api}/commits/{sha}",
        "url": f"{api}/commits/{sha}/status",
    }
    return JSONResponse(body, headers=headers)


def _refuse_slash(call: Call) -> None:
    """Until Gitea 1.25.4 a name with a slash was no name here, unless the slash was escaped."""
    path = bytes(call.request.scope.get("raw_path", b"")).partition(b"?")[0]
    if b"/" in path.partition(b"/commits/")[2].removesuffix(b"/status"):
        raise RefusalError(404, "The target couldn't be found.")


async def _sha(call: Call) -> str:
    sha = await call.repo.git.resolve(call.path["ref"])
    if sha is None:
        raise RefusalError(404, f"object does not exist [id: {call.path['ref']}, rel_path: ]")
    return sha
