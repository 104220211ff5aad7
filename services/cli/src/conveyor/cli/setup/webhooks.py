"""`conveyor setup webhooks`: registers the forge's webhooks, and tells how to register the tracker's by hand."""

from collections.abc import Iterator
from typing import Annotated

import typer
from msgspec import Struct

from conveyor.cli import session
from conveyor.cli.exits import Exit, StopError
from conveyor.cli.operate.options import AsJson
from conveyor.cli.setup.addresses import public_address
from conveyor.cli.setup.hooks import Done, Registration, Wish, register
from conveyor.cli.setup.senders import ForGitea, ForPlane, for_gitea, for_plane
from conveyor.cli.show.jsons import printed
from conveyor.gateway.settings import Settings
from conveyor.servicekit.settings import load

setup_app = typer.Typer(no_args_is_help=True, help="Setting both ends up.")
Url = Annotated[
    str,
    typer.Option(
        "--url", metavar="URL", help="Where both reach the gateway; default: [gateway] public_url.", show_default=False
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Change nothing, say what would be done.")]
NewSecret = Annotated[
    bool, typer.Option("--new-secret", help="The secret has changed: register anew even what looks good.")
]


class SetUp(Struct, frozen=True, kw_only=True):
    """What was done and what is left to do, for `--json`."""

    gitea_url: str
    """Where Gitea's deliveries go."""
    repositories: tuple[Registration, ...]
    gitea: ForGitea
    plane: ForPlane | None
    """None when no Plane is configured."""


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.add_typer(setup_app, name="setup")


@setup_app.callback()
def _setup() -> None:
    """Make `webhooks` a command of its own, so that others may stand beside it."""


@setup_app.command()
def webhooks(url: Url = "", dry_run: DryRun = False, new_secret: NewSecret = False, as_json: AsJson = False) -> None:
    """Register Gitea's webhooks on every configured repository, and print the steps for Plane's. Safe to repeat."""
    session.run(_webhooks(url, Wish(url="", secret="", is_dry=dry_run, is_new_secret=new_secret), as_json=as_json))


async def _webhooks(url: str, how: Wish, *, as_json: bool) -> Exit:
    here = session.current()
    settings = load(Settings, here.config)
    address = await public_address(settings.gateway, url)
    if not settings.gitea.url or not settings.gitea.webhook_secrets:
        raise StopError("[gitea] url and webhook_secret are needed; any long random text is a secret", Exit.USAGE)
    wish = Wish(
        url=address.hook("gitea"),
        secret=settings.gitea.webhook_secrets[0].reveal(),
        is_dry=how.is_dry,
        is_new_secret=how.is_new_secret,
    )
    forge = here.outside.forge(settings.gitea)
    try:
        repositories = dict.fromkeys(project.repository for project in settings.project)
        done = [await register(forge, repository, wish) for repository in repositories]
    finally:
        await forge.close()
    plane = settings.plane
    made = SetUp(
        gitea_url=wish.url,
        repositories=tuple(done),
        gitea=for_gitea(address),
        plane=for_plane(address, plane.url, plane.workspace) if plane.url else None,
    )
    typer.echo(printed(made) if as_json else "\n".join(lines(made)))
    return Exit.FAILED if any(one.done is Done.FAILED for one in done) else Exit.OK


def lines(made: SetUp) -> Iterator[str]:
    """Yield what was done and what is left, for people."""
    yield f"Gitea: {made.gitea_url}"
    for one in made.repositories:
        yield f"  {one.repository}: {one.done}" + (f" ({one.reason})" if one.reason else "")
        yield from (f"    also calls {other}: delete that webhook if no gateway is there" for other in one.others)
    if made.gitea.settings:
        yield f"  In Gitea's app.ini, once: {made.gitea.why}"
        yield from (f"    {line}" for line in made.gitea.settings)
    if made.plane is None:
        return
    yield ""
    yield "Plane has no API for webhooks; by hand, once:"
    yield from (f"  ! {problem}" for problem in made.plane.problems)
    yield from (f"  {number}. {step}" for number, step in enumerate(made.plane.steps, 1))
