"""What Plane and Gitea have to be told before they call the gateway: pure, by the gateway's address and Plane's own.

Both refuse addresses of some kinds, Plane with a message that does not say why, Gitea silently (docs/protocols.md).
"""

from collections.abc import Iterator
from urllib.parse import urlsplit

from msgspec import Struct

from conveyor.cli.setup.addresses import Address, Kind

WANTED = ("Issues", "Issue comments")
"""What Plane's webhook has to bring, by the names on its page."""


class ForPlane(Struct, frozen=True, kw_only=True):
    """How to register the webhook in Plane by hand, which its API does not offer."""

    url: str
    steps: tuple[str, ...]
    environment: tuple[str, ...]
    """Variables that Plane needs before it takes this address, each `NAME=value`."""
    problems: tuple[str, ...]
    """Why Plane will refuse this address whatever it is told."""


class ForGitea(Struct, frozen=True, kw_only=True):
    """What Gitea needs before it sends anything to this address; nothing for a public one."""

    settings: tuple[str, ...]
    """Lines of app.ini."""
    why: str = ""


def for_plane(address: Address, plane_url: str, workspace: str) -> ForPlane:
    """Return the steps, and the settings that the address asks for."""
    reasons = tuple(_reasons(address, plane_url))
    host = f"{address.host}.internal" if _is_bare(address) else address.host
    environment = (f"WEBHOOK_ALLOWED_HOSTS={host}",) if reasons else ()
    return ForPlane(
        url=address.hook("plane"),
        steps=(*_allowing(environment, reasons), *_making(address, f"{plane_url.rstrip('/')}/{workspace}")),
        environment=environment,
        problems=tuple(_problems(address)),
    )


def _allowing(environment: tuple[str, ...], reasons: tuple[str, ...]) -> Iterator[str]:
    for setting in environment:
        why = "; ".join(reasons)
        yield f"For Plane's services api and worker alike set {setting} (add to what stands there), start both: {why}."


def _making(address: Address, workspace_url: str) -> Iterator[str]:
    yield f"As an admin of the workspace open {workspace_url}/settings/webhooks and add a webhook."
    yield f"Payload URL: {address.hook('plane')}"
    yield f"Choose individual events: {' and '.join(WANTED)}. Leave it enabled."
    yield "Plane shows the secret key once: write it where [plane] webhook_secret_file says, start the gateway again."
    yield "`conveyor doctor` says whether all is good; then move any issue, and doctor says whether it was heard of."


def _is_bare(address: Address) -> bool:
    """Whether the host is a name without a dot, such as a service of a compose file."""
    return "." not in address.host and not address.is_literal and address.host != "localhost"


def _reasons(address: Address, plane_url: str) -> Iterator[str]:
    """Yield why Plane wants the host listed."""
    if address.kind is Kind.LOOPBACK:
        yield "it calls no loopback address otherwise"
    elif address.kind in (Kind.PRIVATE, Kind.SHARED):
        yield "it calls no private address otherwise"
    elif address.kind is Kind.UNKNOWN:
        yield f"{address.host} cannot be looked up from here, so it is probably a name of an inner network"
    own = urlsplit(plane_url).hostname or ""
    if own and (address.host == own or address.host.endswith(f".{own}")):
        yield "the host is Plane's own or below it, which it refuses otherwise"


def _problems(address: Address) -> Iterator[str]:
    if _is_bare(address):
        yield (
            f"Plane takes no host without a dot ({address.host}: 'Enter a valid URL', whatever is allowed): give the "
            f"gateway a second name such as {address.host}.internal (in compose a network alias), and use that"
        )
    if address.host in ("localhost", "127.0.0.1") and not address.has_port:
        yield f"Plane takes http://{address.host} only with a port, such as http://{address.host}:8080"
    if address.kind is Kind.LOOPBACK:
        yield f"{address.host} is this machine only where Plane runs without containers: inside one it is the container"


def for_gitea(address: Address) -> ForGitea:
    """Return the lines of app.ini that the address asks for; Gitea calls public addresses only unless told."""
    allowed = {
        Kind.LOOPBACK: "loopback",
        Kind.PRIVATE: "private",
        Kind.SHARED: "100.64.0.0/10",
        Kind.UNKNOWN: address.host,
    }.get(address.kind)
    if allowed is None:
        return ForGitea(settings=())
    return ForGitea(
        settings=("[webhook]", f"ALLOWED_HOST_LIST = external,{allowed}"),
        why=(
            f"Gitea sends nothing to {address.host} otherwise, and says so on the webhook's own page alone. In a "
            f"container: GITEA__webhook__ALLOWED_HOST_LIST=external,{allowed}"
        ),
    )
