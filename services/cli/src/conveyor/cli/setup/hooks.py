"""The forge's webhooks of every configured repository: which are good, and making them so."""

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from conveyor.cli.outside import Forge, Hook
from conveyor.contracts.errors import ConveyorError

PATH = "/webhook/gitea"


class Done(StrEnum):
    """What became of one repository's webhook."""

    REGISTERED = "registered"
    IN_PLACE = "in place"
    RENEWED = "renewed"
    WOULD_REGISTER = "would register"
    FAILED = "failed"


class Registration(Struct, frozen=True, kw_only=True):
    """One repository's webhook."""

    repository: str
    done: Done
    reason: str = ""
    """Why it failed, or why it is made anew."""
    others: tuple[str, ...] = ()
    """Other addresses of a gateway that are registered there: each is told everything as well."""


class Wish(Struct, frozen=True, kw_only=True):
    """What is to be registered, and how."""

    url: str
    secret: str
    is_dry: bool = False
    """Only look."""
    is_new_secret: bool = False
    """Make it anew even if it is good: the forge does not show which secret it has."""


def faults(hooks: Sequence[Hook], url: str, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return what is wrong with the webhook to this address; nothing when it is good."""
    ours = [hook for hook in hooks if hook.url == url]
    if not ours:
        return ("it is not registered",)
    told = []
    if not any(hook.is_active for hook in ours):
        told.append("it is switched off")
    if not any(hook.content_type == "json" for hook in ours):
        told.append("it sends forms, not JSON")
    missing = [name for name in wanted if not any(name in hook.events for hook in ours)]
    if missing:
        told.append(f"it does not bring {', '.join(missing)}")
    if len(ours) > 1:
        told.append(f"it is registered {len(ours)} times, so everything is told as often")
    return tuple(told)


def strangers(hooks: Sequence[Hook], url: str) -> tuple[str, ...]:
    """Return other addresses that look like a gateway's."""
    return tuple(hook.url for hook in hooks if hook.url != url and hook.url.endswith(PATH) and hook.is_active)


async def register(forge: Forge, repository: str, wish: Wish) -> Registration:
    """Make one repository's webhook good, or say what would be done; safe to repeat."""
    try:
        hooks = await forge.hooks(repository)
        wrong = faults(hooks, wish.url, (await forge.product()).events)
        done = await _made(forge, repository, wish, is_good=not wrong)
    except ConveyorError as error:
        return Registration(repository=repository, done=Done.FAILED, reason=str(error))
    reason = "; ".join(wrong) if done is not Done.IN_PLACE else ""
    return Registration(repository=repository, done=done, reason=reason, others=strangers(hooks, wish.url))


async def _made(forge: Forge, repository: str, wish: Wish, *, is_good: bool) -> Done:
    if wish.is_dry:
        return Done.IN_PLACE if is_good and not wish.is_new_secret else Done.WOULD_REGISTER
    if wish.is_new_secret:
        await forge.replace_hook(repository, wish.url, wish.secret)
        return Done.RENEWED
    await forge.ensure_hook(repository, wish.url, wish.secret)
    return Done.IN_PLACE if is_good else Done.REGISTERED
