"""Webhooks of a repository: registered once, looked after, never edited (an edit resets what it does not say)."""

from collections.abc import Sequence

from msgspec import Struct

from conveyor.adapters.gitea.http import Call, RefusedError
from conveyor.adapters.gitea.rights import Rights
from conveyor.adapters.gitea.shapes import HookRow

EVENTS = ("push", "create", "delete", "pull_request", "status", "workflow_run", "issue_comment")
"""What the gateway wants to hear; `pull_request` brings its reviews along, servers ignore names they do not know."""


class RegisteredHook(Struct, frozen=True, kw_only=True):
    """A webhook as the forge shows it; its secret is never shown."""

    hook_id: int
    url: str
    is_active: bool
    content_type: str
    """`json` is what the gateway reads; `form` is the other."""
    events: tuple[str, ...]


class Hooks(Rights):
    """The topic of webhooks; the token's account must be an admin of the repository."""

    async def hook_is_active(self, repo: str, url: str) -> bool:
        """Whether an active JSON webhook to this address is registered."""
        return any(_is_sound(row) for row in await self._hooks(repo, url))

    async def hooks(self, repo: str) -> tuple[RegisteredHook, ...]:
        """Return every webhook of the repository, whomever it calls."""
        return tuple(
            RegisteredHook(
                hook_id=row.id,
                url=row.config.url,
                is_active=row.active,
                content_type=row.config.content_type,
                events=tuple(row.events),
            )
            for row in await self._all_hooks(repo)
        )

    async def try_hook(self, repo: str, hook_id: int) -> None:
        """Let the forge send its test delivery, a push that moves nothing; whether it arrives is not told."""
        path = f"repos/{repo}/hooks/{hook_id}/tests"
        await self._http.succeed(Call(method="POST", path=path, doing=f"trying a webhook of {repo}"))

    async def ensure_hook(self, repo: str, url: str, secret: str, events: Sequence[str] = EVENTS) -> bool:
        """Register the webhook unless an active one to this address brings all that this server can; True when made.

        Others to the same address go: each would bring everything twice. Gitea shows no secret and cannot change one:
        call `replace_hook` when the secret is new.
        """
        rows, wanted = await self._hooks(repo, url), set(events) & set((await self.product()).events)
        good = next((row for row in rows if _is_sound(row) and wanted <= set(row.events)), None)
        if good is None:
            await self.replace_hook(repo, url, secret, events)
            return True
        await self._delete(repo, [row for row in rows if row.id != good.id])
        return False

    async def replace_hook(self, repo: str, url: str, secret: str, events: Sequence[str] = EVENTS) -> None:
        """Register the webhook anew, then delete those to the same address that were there before."""
        old = await self._hooks(repo, url)
        body = {
            "type": "gitea",  # Forgejo takes it as well, and then names branches as Gitea does
            "active": True,  # the default is false
            "config": {"url": url, "content_type": "json", "secret": secret},
            "events": list(events),
            "branch_filter": "*",
        }
        doing = f"registering the webhook of {repo}"
        await self._http.succeed(Call(method="POST", path=f"repos/{repo}/hooks", body=body, doing=doing))
        await self._delete(repo, old)

    async def _delete(self, repo: str, rows: Sequence[HookRow]) -> None:
        for row in rows:
            call = Call(method="DELETE", path=f"repos/{repo}/hooks/{row.id}", doing=f"deleting a webhook of {repo}")
            try:
                await self._http.succeed(call)
            except RefusedError as error:
                if error.status != 404:
                    raise

    async def _hooks(self, repo: str, url: str) -> list[HookRow]:
        return [row for row in await self._all_hooks(repo) if row.config.url == url]

    async def _all_hooks(self, repo: str) -> list[HookRow]:
        call = Call(path=f"repos/{repo}/hooks", doing=f"listing the webhooks of {repo}")
        return await self._http.rows(call, list[HookRow])


def _is_sound(row: HookRow) -> bool:
    return row.active and row.config.content_type == "json"
