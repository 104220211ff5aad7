"""Gitea's webhooks: which hooks want an event, what goes over the wire with which headers, and how to be quiet."""

import contextlib
import dataclasses
import fnmatch
import hashlib
import hmac
import json
import uuid
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlencode

from conveyor.simulator.delivery import Courier, Packed, Parcel, Policy
from conveyor.simulator.gitea.flavour import Flavour
from conveyor.simulator.gitea.world import Hook, Repo

DELIVER_TIMEOUT_S = 5.0  # Gitea's `[webhook] DELIVER_TIMEOUT`
PULL_EVENTS = (
    "pull_request",
    "pull_request_assign",
    "pull_request_label",
    "pull_request_milestone",
    "pull_request_sync",
    "pull_request_review",
    "pull_request_review_request",
    "pull_request_comment",
)
KNOWN_EVENTS = (
    *("push", "create", "delete", *PULL_EVENTS, "issue_comment", "status", "repository"),
    *("issues", "fork", "release", "wiki", "package", "workflow_run", "workflow_job"),
)
_quiet: ContextVar[bool] = ContextVar("gitea_quiet", default=False)


@dataclasses.dataclass(frozen=True)
class Event:
    """Something to tell: its coarse and fine names, the name one subscribes by, and a body built when it is sent."""

    name: str
    type: str
    subscription: str
    label: str
    body: Callable[[], dict[str, Any]]
    branch: str | None = None
    full_ref: str = ""
    """Of a branch or tag that came or went: what a hook of Forgejo's own type is told instead of the short name."""


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """What the running task does inside this block, and the tasks it starts there, sends no webhook."""
    token = _quiet.set(True)
    try:
        yield
    finally:
        _quiet.reset(token)


def expand_events(names: list[str], flavour: Flavour) -> list[str]:
    """Return what a subscription stores: `pull_request` means all its kinds, unknown names vanish, none means push."""
    if not names:
        return ["push"]
    expanded: list[str] = []
    for name in names:
        if name == "pull_request":
            expanded += PULL_EVENTS
        elif name == "pull_request_only":
            expanded.append("pull_request")
        elif name in KNOWN_EVENTS and name not in flavour.unknown_events:
            expanded.append(name)
    return list(dict.fromkeys(expanded))


def signature_headers(secret: str, content: bytes) -> dict[str, str]:
    """Return the signature headers; without a secret they are sent all the same, empty."""
    sha256 = hmac.new(secret.encode(), content, hashlib.sha256).hexdigest() if secret else ""
    sha1 = hmac.new(secret.encode(), content, hashlib.sha1).hexdigest() if secret else ""
    return {
        "X-Gitea-Signature": sha256,
        "X-Gogs-Signature": sha256,
        "X-Hub-Signature": f"sha1={sha1}",
        "X-Hub-Signature-256": f"sha256={sha256}",
    }


class Notifier:
    """Hands events to the courier, one parcel for each hook that subscribed: at most once, five seconds, no retry."""

    def __init__(self, flavour: Flavour) -> None:
        self.flavour = flavour
        self.courier = Courier(Policy(attempts=1, timeout_s=DELIVER_TIMEOUT_S))

    def tell(self, repo: Repo, event: Event) -> None:
        """Send the event to every hook that wants it, unless the caller is quiet."""
        if _quiet.get():
            return
        for hook in list(repo.hooks.values()):
            if hook.active and _wants(hook, event):
                self.send(hook, event)

    def send(self, hook: Hook, event: Event) -> None:
        """Send the event to this hook whether it subscribed or not."""

        def pack() -> Packed:
            content = self._content(hook, event)
            return Packed(_wire(hook, content), _headers(hook, event, content, self.flavour))

        self.courier.post(Parcel(label=event.label, url=hook.url, pack=pack, stamp=self._delivery_id))

    def _content(self, hook: Hook, event: Event) -> bytes:
        body = event.body()
        if event.full_ref and hook.type == "forgejo":
            body = body | {"ref": event.full_ref}
        # Forgejo writes these anew for hooks of Gitea's type, and forgets to indent them.
        is_compact = self.flavour.is_forgejo and bool(event.full_ref) and hook.type != "forgejo"
        return json.dumps(body, indent=None if is_compact else 2, ensure_ascii=False).encode()

    def _delivery_id(self) -> dict[str, str]:
        delivery_id = str(uuid.uuid4())
        return {f"X-{brand}-Delivery": delivery_id for brand in self.flavour.brands}


def _wants(hook: Hook, event: Event) -> bool:
    if event.subscription not in hook.events:
        return False
    return event.branch is None or fnmatch.fnmatchcase(event.branch, hook.branch_filter or "*")


def _wire(hook: Hook, content: bytes) -> bytes:
    # The signature covers `content` either way: a form's own body is never what was signed.
    return content if hook.content_type == "json" else urlencode({"payload": content.decode()}).encode()


def _headers(hook: Hook, event: Event, content: bytes, flavour: Flavour) -> dict[str, str]:
    kind = "application/json" if hook.content_type == "json" else "application/x-www-form-urlencoded"
    headers = {"User-Agent": "Go-http-client/1.1", "Content-Type": kind, "Accept-Encoding": "gzip"}
    for brand in flavour.brands:
        headers |= {f"X-{brand}-Event": event.name, f"X-{brand}-Event-Type": event.type}
    for brand in () if flavour.is_forgejo else ("GitHub", "Gitea"):
        headers[f"X-{brand}-Hook-Installation-Target-Type"] = "repository"
    if hook.authorization_header:
        headers["Authorization"] = hook.authorization_header
    signed = signature_headers(hook.secret, content)
    if flavour.is_forgejo:
        signed["X-Forgejo-Signature"] = signed["X-Gitea-Signature"]
    return headers | signed
