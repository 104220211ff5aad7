"""The gateway's public address, and what kind of address it is: Plane and Gitea do not call every kind."""

import asyncio
import ipaddress
import socket
from enum import StrEnum
from urllib.parse import urlsplit

from msgspec import Struct

from conveyor.cli.exits import Exit, StopError
from conveyor.gateway.settings import GatewaySettings

DEFAULT_PORTS = {"http": 80, "https": 443}
SHARED = ipaddress.ip_network("100.64.0.0/10")
"""The carrier's and Tailscale's range: neither private nor public to anybody."""


class Kind(StrEnum):
    """Where an address leads."""

    LOOPBACK = "loopback"
    PRIVATE = "private"
    SHARED = "shared"
    PUBLIC = "public"
    UNKNOWN = "unknown"
    """The name cannot be looked up from here; where Plane and Gitea run it may."""


class Address(Struct, frozen=True, kw_only=True):
    """Where webhooks are sent."""

    url: str
    """Without a slash at its end."""
    host: str
    kind: Kind
    is_literal: bool
    """Whether the host is an IP address and not a name."""
    has_port: bool = False
    is_encrypted: bool = False

    def hook(self, source: str) -> str:
        """Return where this source's deliveries go."""
        return f"{self.url}/webhook/{source}"


async def public_address(settings: GatewaySettings, given: str) -> Address:
    """Return the gateway's public address; StopError when none is known or it cannot be one."""
    url = given or settings.public_url
    if not url:
        raise StopError("where do Plane and Gitea reach the gateway? Set [gateway] public_url, or --url", Exit.USAGE)
    return await looked_up(url)


def fault_of(url: str) -> str:
    """Return why this is no address of a server; empty when it may be one."""
    try:
        parts = urlsplit(url.strip())
        is_good = parts.scheme in DEFAULT_PORTS and parts.hostname and parts.port != 0
    except ValueError as error:  # brackets that do not match, a port that is none
        return f"{url}: {error}"
    if not is_good or parts.query or parts.fragment:
        return f"{url}: expected an address such as https://conveyor.example.org"
    return ""


async def looked_up(url: str) -> Address:
    """Return an address with its kind; StopError when it cannot be called."""
    if fault := fault_of(url):
        raise StopError(fault, Exit.USAGE)
    parts = urlsplit(url.strip())
    path = parts.path.rstrip("/")
    for source in ("plane", "gitea"):
        path = path.removesuffix(f"/webhook/{source}")
    host, port = parts.hostname or "", parts.port
    found = await _found(host, port or DEFAULT_PORTS[parts.scheme])
    return Address(
        url=f"{parts.scheme}://{parts.netloc}{path}",
        host=host,
        kind=kind_of(found),
        is_literal=_is_literal(host),
        has_port=port is not None,
        is_encrypted=parts.scheme == "https",
    )


def kind_of(addresses: tuple[str, ...]) -> Kind:
    """Return the kind of a host by the IP addresses it has: the one that is called by the fewest."""
    kinds = {_kind(ipaddress.ip_address(address)) for address in addresses}
    return next((kind for kind in Kind if kind in kinds), Kind.UNKNOWN)


def _kind(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Kind:
    if address.is_loopback or address.is_unspecified:
        return Kind.LOOPBACK
    if address.version == 4 and address in SHARED:
        return Kind.SHARED
    return Kind.PRIVATE if address.is_private or address.is_link_local else Kind.PUBLIC


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def _found(host: str, port: int) -> tuple[str, ...]:
    try:
        rows = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple(dict.fromkeys(str(row[4][0]).partition("%")[0] for row in rows))
