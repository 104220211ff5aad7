"""REST: the version, users, their tokens and the repositories they make."""

import secrets

from starlette.responses import JSONResponse, Response

from conveyor.simulator.gitea.git import FileCommit
from conveyor.simulator.gitea.rest import Call, Endpoint
from conveyor.simulator.gitea.world import RefusalError, Token, User


def endpoints() -> list[Endpoint]:
    """Return the endpoints of this chapter."""
    return [
        Endpoint("GET", "/version", version),
        Endpoint("GET", "/user", me, scope="read:user"),
        Endpoint("GET", "/users/{login}", get_user),
        Endpoint("POST", "/users/{login}/tokens", create_token),
        Endpoint("POST", "/admin/users", create_user, scope="write:admin"),
        Endpoint("GET", "/user/repos", my_repos, scope="read:user"),
        Endpoint("POST", "/user/repos", create_repo, scope="write:repository"),
    ]


async def version(call: Call) -> Response:
    """Tell the version, to anybody."""
    return JSONResponse({"version": call.forge.flavour.version})


async def me(call: Call) -> Response:
    """Tell who is calling."""
    return JSONResponse(call.forge.shapes.user(call.user))


async def get_user(call: Call) -> Response:
    """Show a user."""
    return JSONResponse(call.forge.shapes.user(call.forge.world.user(call.path["login"])))


async def create_token(call: Call) -> Response:
    """Make a token; only with a password, and the secret is under `sha1`, this once."""
    if not call.caller.by_password or call.user.login != call.path["login"]:
        raise RefusalError(401, "auth required")
    if any(token.name == call.word("name") for token in call.user.tokens.values()):
        raise RefusalError(400, "access token name has been used already")
    secret, scopes = secrets.token_hex(20), [str(scope) for scope in call.body.get("scopes") or ["all"]]
    token = Token(call.forge.world.next_id("token"), call.word("name"), frozenset(scopes))
    call.user.tokens[secret] = token
    shown = {"id": token.id, "name": token.name, "sha1": secret, "token_last_eight": secret[-8:], "scopes": scopes}
    return JSONResponse(shown, 201)


async def create_user(call: Call) -> Response:
    """Make an account, as an administrator."""
    if not call.user.is_admin:
        raise RefusalError(403, "Only site admins can perform this operation")
    login, world = call.word("username"), call.forge.world
    if login in world.users:
        raise RefusalError(422, f"user already exists [name: {login}]")
    user = User(world.next_id("user"), login, call.word("email"), call.word("password"), call.forge.now())
    world.users[login] = user
    return JSONResponse(call.forge.shapes.user(user), 201)


async def my_repos(call: Call) -> Response:
    """List the repositories the caller may write to."""
    mine = [repo for repo in call.forge.world.repos.values() if repo.allows(call.user, "write")]
    shown, headers = call.page(mine)
    return JSONResponse([call.forge.shapes.repo(repo, call.user) for repo in shown], headers=headers)


async def create_repo(call: Call) -> Response:
    """Make a repository of the caller's, empty unless `auto_init` asks for a first commit."""
    name = call.word("name")
    if f"{call.user.login}/{name}" in call.forge.world.repos:
        raise RefusalError(409, "The repository with the same name already exists.")
    branch = call.word("default_branch", "main")
    repo = await call.forge.create_repo(call.user, name, private=bool(call.body.get("private")), default_branch=branch)
    if call.body.get("auto_init"):
        who = call.forge.signature(call.user)
        async with repo.lock:
            await repo.git.commit_files(FileCommit(branch, None, {"README.md": f"# {name}\n"}, "Initial commit", who))
            await call.forge.refs_moved(repo, call.user)
    return JSONResponse(call.forge.shapes.repo(repo, call.user), 201)
