"""REST: commit statuses, with the combined status that looks at one page only."""

from starlette.responses import JSONResponse, Response

from conveyor.simulator.gitea.rest import Call, Endpoint, in_repo
from conveyor.simulator.gitea.statuses import NewStatus, combine, latest_statuses, post_status
from conveyor.simulator.gitea.world import RefusalError


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
    sha = await _sha(call)
    shown, headers = call.page(latest_statuses(repo, sha))
    api = f"{shapes.url}/api/v1/repos/{repo.full_name}"
    body = {
        "state": combine([status.state for status in shown]),
        "sha": sha,
        "total_count": len(shown),
        "statuses": [shapes.status(repo, status) for status in shown] or None,
        "repository": shapes.repo(repo, call.caller.user),
        "commit_url": f"{api}/commits/{sha}",
        "url": f"{api}/commits/{sha}/status",
    }
    return JSONResponse(body, headers=headers)


async def _sha(call: Call) -> str:
    sha = await call.repo.git.resolve(call.path["ref"])
    if sha is None:
        raise RefusalError(404, f"object does not exist [id: {call.path['ref']}, rel_path: ]")
    return sha
