"""REST: webhooks of a repository. Inactive unless said otherwise, secrets never shown; a change resets the unsaid."""

from starlette.responses import JSONResponse, Response

from conveyor.simulator.gitea.events import Move
from conveyor.simulator.gitea.rest import Call, Endpoint, in_repo
from conveyor.simulator.gitea.webhooks import expand_events
from conveyor.simulator.gitea.world import Hook, RefusalError

CONTENT_TYPES = ("json", "form")


def endpoints() -> list[Endpoint]:
    """Return the endpoints of this chapter."""
    return [
        in_repo("GET", "/hooks", list_hooks, "admin"),
        in_repo("POST", "/hooks", create_hook, "admin"),
        in_repo("GET", "/hooks/{id:int}", get_hook, "admin"),
        in_repo("PATCH", "/hooks/{id:int}", patch_hook, "admin"),
        in_repo("DELETE", "/hooks/{id:int}", delete_hook, "admin"),
        in_repo("POST", "/hooks/{id:int}/tests", fire_test, "admin"),
    ]


def _hook(call: Call) -> Hook:
    hook = call.repo.hooks.get(call.path["id"])
    if hook is None:
        raise RefusalError(404, "The target couldn't be found.")
    return hook


async def list_hooks(call: Call) -> Response:
    """List the hooks."""
    shown, headers = call.page(list(call.repo.hooks.values()))
    return JSONResponse([call.forge.shapes.hook(hook) for hook in shown], headers=headers)


async def create_hook(call: Call) -> Response:
    """Register a hook; without `active` it never fires, without `events` it hears pushes only."""
    if call.word("type") not in call.forge.flavour.hook_types:
        raise RefusalError(422, f"Invalid hook type: {call.word('type')}")
    config = call.body.get("config") or {}
    for name in ("url", "content_type"):
        if name not in config:
            raise RefusalError(422, f"Missing config option: {name}")
    if config["content_type"] not in CONTENT_TYPES:
        raise RefusalError(422, "Invalid content type")
    now = call.forge.now()
    hook = Hook(
        id=call.forge.world.next_id("hook"),
        url=str(config["url"]),
        content_type=str(config["content_type"]),
        secret=str(config.get("secret") or ""),
        events=expand_events(list(call.body.get("events") or []), call.forge.flavour),
        active=bool(call.body.get("active")),
        branch_filter=call.word("branch_filter"),
        authorization_header=call.word("authorization_header"),
        created_at=now,
        updated_at=now,
        type=call.word("type"),
    )
    call.repo.hooks[hook.id] = hook
    return JSONResponse(call.forge.shapes.hook(hook), 201)


async def get_hook(call: Call) -> Response:
    """Show one hook."""
    return JSONResponse(call.forge.shapes.hook(_hook(call)))


async def patch_hook(call: Call) -> Response:
    """Change a hook: the secret stays what it was; events, filter and header that are not said again are reset."""
    hook, config = _hook(call), call.body.get("config") or {}
    hook.url = str(config.get("url") or hook.url)
    hook.content_type = str(config.get("content_type") or hook.content_type)
    hook.events = expand_events(list(call.body.get("events") or []), call.forge.flavour)
    hook.branch_filter = call.word("branch_filter")
    hook.authorization_header = call.word("authorization_header")
    if call.body.get("active") is not None:
        hook.active = bool(call.body["active"])
    hook.updated_at = call.forge.now()
    return JSONResponse(call.forge.shapes.hook(hook))


async def delete_hook(call: Call) -> Response:
    """Remove a hook."""
    del call.repo.hooks[_hook(call).id]
    return Response(status_code=204)


async def fire_test(call: Call) -> Response:
    """Send a push that is none: before and after are both the default branch's tip."""
    hook, repo = _hook(call), call.repo
    head = repo.heads.get(repo.default_branch)
    if head is None:
        raise RefusalError(404, "The target couldn't be found.")
    shown = await call.forge.commit_payload(repo, head)
    move = Move(f"refs/heads/{repo.default_branch}", head, head)
    call.forge.notifier.send(hook, call.forge.teller(repo, call.user).pushed(move, [shown], 1))
    return Response(status_code=204)
