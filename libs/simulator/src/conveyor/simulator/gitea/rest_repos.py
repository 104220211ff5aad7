"""REST: a repository, its branches, the rules that protect them, and who may work on it."""

from typing import cast, get_args

from starlette.responses import JSONResponse, Response

from conveyor.simulator.gitea.git import GitError
from conveyor.simulator.gitea.rest import Call, Endpoint, in_repo
from conveyor.simulator.gitea.shapes import Json
from conveyor.simulator.gitea.world import Permission, Protection, RefusalError, Repo

MAX_BRANCH_CHARS = 100


def endpoints() -> list[Endpoint]:
    """Return the endpoints of this chapter."""
    return [
        in_repo("GET", "", get_repo, "read"),
        in_repo("PATCH", "", patch_repo, "admin"),
        in_repo("DELETE", "", delete_repo, "owner"),
        in_repo("GET", "/branches", list_branches, "read"),
        in_repo("POST", "/branches", create_branch, "write"),
        in_repo("GET", "/branches/{branch:path}", get_branch, "read"),
        in_repo("DELETE", "/branches/{branch:path}", delete_branch, "write"),
        in_repo("GET", "/branch_protections", list_protections, "admin"),
        in_repo("POST", "/branch_protections", create_protection, "admin"),
        in_repo("GET", "/collaborators", list_collaborators, "read"),
        in_repo("GET", "/collaborators/{login}", get_collaborator, "read"),
        in_repo("PUT", "/collaborators/{login}", put_collaborator, "admin"),
        in_repo("GET", "/collaborators/{login}/permission", get_permission, "read"),
    ]


async def get_repo(call: Call) -> Response:
    """Show the repository with the caller's permissions."""
    return JSONResponse(call.forge.shapes.repo(call.repo, call.caller.user))


async def patch_repo(call: Call) -> Response:
    """Archive a repository or bring it back, or switch its merge styles."""
    repo, switches = (
        call.repo,
        {"merge": "allow_merge_commits", "rebase": "allow_rebase", "squash": "allow_squash_merge"},
    )
    repo.archived = bool(call.body.get("archived", repo.archived))
    off = {style for style, name in switches.items() if call.body.get(name) is False}
    repo.merge_styles = tuple(style for style in repo.merge_styles if style not in off)
    return JSONResponse(call.forge.shapes.repo(repo, call.user))


async def delete_repo(call: Call) -> Response:
    """Forget the repository; its folder stays until the server's own goes."""
    del call.forge.world.repos[call.repo.full_name]
    return Response(status_code=204)


async def branch_shape(call: Call, repo: Repo, branch: str) -> Json:
    """Return a branch; its sha is `commit.id`."""
    rule = repo.protections.get(branch)
    return {
        "name": branch,
        "commit": await call.forge.commit_payload(repo, repo.heads[branch]),
        "protected": rule is not None,
        "required_approvals": 0 if rule is None else rule.required_approvals,
        "enable_status_check": rule is not None and rule.enable_status_check,
        "status_check_contexts": [] if rule is None else rule.status_check_contexts,
        "user_can_push": repo.allows(call.caller.user, "write"),
        "user_can_merge": repo.allows(call.caller.user, "write"),
        "effective_branch_protection_name": "" if rule is None else rule.branch,
    }


async def list_branches(call: Call) -> Response:
    """List the branches."""
    names, headers = call.page(sorted(call.repo.heads))
    return JSONResponse([await branch_shape(call, call.repo, name) for name in names], headers=headers)


async def get_branch(call: Call) -> Response:
    """Show one branch or 404."""
    if call.path["branch"] not in call.repo.heads:
        raise RefusalError(404, "The target couldn't be found.")
    return JSONResponse(await branch_shape(call, call.repo, call.path["branch"]))


async def create_branch(call: Call) -> Response:
    """Make a branch from a branch, tag or sha: 409 when it exists, 404 or 500 when its origin does not."""
    repo, name = call.repo, call.word("new_branch_name")
    async with repo.lock:
        await _refuse_spelling(repo, name)
        start = await _start(call, repo)
        _refuse_taken(repo, name)
        await repo.git.update_ref(f"refs/heads/{name}", start)
        await call.forge.refs_moved(repo, call.user)
    return JSONResponse(await branch_shape(call, repo, name), 201)


async def _start(call: Call, repo: Repo) -> str:
    old_branch = call.word("old_branch_name")
    if old_branch and old_branch not in repo.heads:
        raise RefusalError(404, "The old branch does not exist")
    origin = call.word("old_ref_name") or old_branch or repo.default_branch
    sha = await repo.git.resolve(origin)
    if sha is None:
        # Measured: an unknown branch is 404, an unknown ref is not foreseen.
        raise RefusalError(500, f"object does not exist [id: {origin}]")
    return sha


async def _refuse_spelling(repo: Repo, name: str) -> None:
    if len(name) > MAX_BRANCH_CHARS:
        raise RefusalError(422, "[NewBranchName]: MaxSize")
    try:
        await repo.git.git("check-ref-format", "--branch", name)
    except GitError as failure:
        raise RefusalError(422, "[NewBranchName]: GitRefName") from failure


def _refuse_taken(repo: Repo, name: str) -> None:
    if name in repo.heads:
        raise RefusalError(409, "The branch already exists.")
    if f"refs/tags/{name}" in repo.refs:
        raise RefusalError(409, "The branch with the same tag already exists.")
    parents = [name.rsplit("/", depth)[0] for depth in range(1, name.count("/") + 1)]
    if any(head.startswith(f"{name}/") or head in parents for head in repo.heads):
        raise RefusalError(409, "The branch with the same name already exists.")


async def delete_branch(call: Call) -> Response:
    """Remove a branch: 404 when it is not there, 403 for the default and protected ones."""
    repo, name = call.repo, call.path["branch"]
    async with repo.lock:
        if name not in repo.heads:
            raise RefusalError(404, "The target couldn't be found.")
        if name == repo.default_branch:
            raise RefusalError(403, "can not delete default branch")
        if name in repo.protections:
            raise RefusalError(403, "branch protected")
        await repo.git.delete_ref(f"refs/heads/{name}")
        await call.forge.refs_moved(repo, call.user)
    return Response(status_code=204)


def _protection_shape(rule: Protection) -> Json:
    return {
        "branch_name": rule.branch,
        "rule_name": rule.branch,
        "enable_push": rule.enable_push,
        "enable_status_check": rule.enable_status_check,
        "status_check_contexts": rule.status_check_contexts,
        "required_approvals": rule.required_approvals,
        "block_on_rejected_reviews": rule.block_on_rejected_reviews,
        "block_on_outdated_branch": rule.block_on_outdated_branch,
    }


async def list_protections(call: Call) -> Response:
    """List the protection rules."""
    return JSONResponse([_protection_shape(rule) for rule in call.repo.protections.values()])


async def create_protection(call: Call) -> Response:
    """Protect a branch."""
    name = call.word("rule_name") or call.word("branch_name")
    if name in call.repo.protections:
        raise RefusalError(403, "Branch protection already exist")
    rule = Protection(
        branch=name,
        enable_push=bool(call.body.get("enable_push")),
        enable_status_check=bool(call.body.get("enable_status_check")),
        status_check_contexts=list(call.body.get("status_check_contexts") or []),
        required_approvals=int(call.body.get("required_approvals") or 0),
        block_on_rejected_reviews=bool(call.body.get("block_on_rejected_reviews")),
        block_on_outdated_branch=bool(call.body.get("block_on_outdated_branch")),
    )
    call.repo.protections[name] = rule
    return JSONResponse(_protection_shape(rule), 201)


async def list_collaborators(call: Call) -> Response:
    """List who was invited."""
    users = [call.forge.world.user(login) for login in call.repo.collaborators]
    shown, headers = call.page(users)
    return JSONResponse([call.forge.shapes.user(user) for user in shown], headers=headers)


async def get_collaborator(call: Call) -> Response:
    """Answer 204 if this user was invited, else 404."""
    if call.path["login"] not in call.repo.collaborators:
        raise RefusalError(404, "The target couldn't be found.")
    return Response(status_code=204)


async def put_collaborator(call: Call) -> Response:
    """Invite a user with a permission, `write` if none is said."""
    user, permission = call.forge.world.user(call.path["login"]), call.word("permission", "write")
    if permission not in get_args(Permission):
        raise RefusalError(422, f"invalid permission: {permission}")
    call.repo.collaborators[user.login] = cast("Permission", permission)
    return Response(status_code=204)


async def get_permission(call: Call) -> Response:
    """Tell what a user may do here."""
    user = call.forge.world.user(call.path["login"])
    permission = call.repo.permission(user)
    shown = {"permission": permission, "role_name": permission, "user": call.forge.shapes.user(user)}
    return JSONResponse(shown)
