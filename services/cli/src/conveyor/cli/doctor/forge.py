"""The forge: which product it is, whose token, and for each repository what the token may do and what is there."""

from collections.abc import Iterable

from conveyor.cli.doctor.finding import Clipboard, Finding
from conveyor.cli.outside import Forge, Rights
from conveyor.contracts.errors import ConveyorError, TransientError
from conveyor.contracts.project import Project
from conveyor.servicekit.sections import GiteaSettings

REMAKE = "make a token of the bot's account with the scopes write:repository and read:user"


async def look(forge: Forge, settings: GiteaSettings, projects: Iterable[Project]) -> list[Finding]:
    """Return how the forge is, repository by repository."""
    notes = Clipboard("forge")
    try:
        product = await forge.product()
    except TransientError as error:
        notes.trouble("reachable", error, "is [gitea] url right, and is Gitea or Forgejo running?")
        return notes.findings
    except ConveyorError as error:  # with a wrong token Gitea does not even tell its version
        notes.trouble("token", error, f"{REMAKE}; is [gitea] url the root of Gitea or Forgejo?")
        return notes.findings
    notes.ok("reachable", f"{product.name} {product.version} answers at {settings.url}")
    for shortcoming in product.shortcomings:
        notes.warning("product", shortcoming, "nothing is lost; docs/operations.md says what is slower")
    try:
        login = await forge.me()
    except ConveyorError as error:
        notes.trouble("token", error, REMAKE)
        return notes.findings
    notes.ok("token", f"it belongs to {login}; nobody else may work under that account")
    if settings.bot_login and settings.bot_login.casefold() != login.casefold():
        told = f"[gitea] bot_login is {settings.bot_login}, but the token belongs to {login}"
        notes.failed("bot user", told, "remove bot_login, or use a token of that account")
    for project in projects:
        await _repository(forge, project, notes.of(project.repository))
    return notes.findings


async def _repository(forge: Forge, project: Project, notes: Clipboard) -> None:
    name = project.repository
    try:
        may = await forge.rights(name)
        if may is None:
            told = f"there is no {name}, or the token's account may not see it"
            notes.failed("repository", told, "is repository `owner/name`, and the bot a collaborator?")
            return
        rights(may, notes)
        if await forge.branch_sha(name, project.target_branch) is None:
            told = f"there is no branch {project.target_branch}, which work would be merged to"
            notes.failed("target branch", told, "set target_branch, or push a first commit")
        else:
            notes.ok("target branch", f"{project.target_branch} is there")
    except ConveyorError as error:
        notes.trouble("repository", error, "has the token the scope write:repository?")


def rights(may: Rights, notes: Clipboard) -> None:
    """Say whether the account may do what the pipeline does. A token's scopes can narrow it, and are not shown."""
    if may.is_archived:
        notes.failed("rights", "the repository is archived: nobody can push", "unarchive it")
    elif not may.can_read or not may.can_push:
        told = f"the token's account may not {'push' if may.can_read else 'read'}"
        notes.failed("rights", told, "make it a collaborator with the right to write")
    elif not may.is_admin:
        told = "pull and push, but not admin: webhooks can be neither registered nor looked at"
        advice = "make the account an administrator of the repository, or let one register the webhook"
        notes.warning("rights", told, advice)
    else:
        notes.ok("rights", "pull, push and admin (a token's scopes may be narrower; Gitea shows none)")
