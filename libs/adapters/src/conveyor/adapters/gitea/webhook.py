"""Gitea's webhook deliveries: is it from Gitea, and what does it say. Pure; the gateway decides what comes of it.

Payloads are built late and come in no order: a delivery says look, not what is true (docs/protocols.md, Gitea).
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from conveyor.adapters.gitea import hook_shapes as shapes
from conveyor.adapters.gitea.hook_contents import (
    Comment,
    Content,
    Push,
    RefChange,
    Review,
    Status,
    WorkflowRun,
    pull_of,
)
from conveyor.contracts.errors import MessageError

SIGNATURE_HEADERS = ("X-Hub-Signature-256", "X-Gitea-Signature")
EVENT_HEADER = "X-Gitea-Event"
EVENT_TYPE_HEADER = "X-Gitea-Event-Type"
DELIVERY_HEADER = "X-Gitea-Delivery"
_VERDICTS = {"approved": "approved", "rejected": "rejected", "comment": "commented"}
T = TypeVar("T")


class GiteaDelivery(Struct, frozen=True, kw_only=True):
    """One delivery. `content` is None for an event that Conveyor has no use for."""

    event: str
    """The coarse name, X-Gitea-Event; some versions leave it empty."""
    event_type: str
    """The fine name, X-Gitea-Event-Type; the coarse one where a server sends none."""
    delivery_id: str
    """New with every redelivery: useless for telling whether it was seen before."""
    repository: str = ""
    """`owner/name`."""
    sender: str = ""
    """The login of who did it; of a review, the reviewer."""
    sender_id: str = ""
    content: Content | None = None


def signature_of(headers: Mapping[str, str]) -> str:
    """Return the signature in hex, or an empty string; `sha256=` alone is what an unsigned delivery has."""
    return next((value for name in SIGNATURE_HEADERS if (value := _bare(_header(headers, name)))), "")


def delivery_id_of(headers: Mapping[str, str]) -> str:
    """Return the delivery's id, or an empty string; it is new each time, so it names no fact."""
    return _header(headers, DELIVERY_HEADER)


def verify(body: bytes, signature: str, secrets: Iterable[str]) -> bool:
    """Whether the raw body was signed with one of the secrets; constant time.

    Bare hex and `sha256=` hex are both good; an empty signature is unsigned, and an empty secret signs nothing.
    """
    claimed = _bare(signature).encode("utf-8", "replace")
    matches = [
        hmac.compare_digest(hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode(), claimed)
        for secret in secrets
        if secret
    ]
    return any(matches)


def _bare(signature: str) -> str:
    return signature.strip().lower().removeprefix("sha256=")


def parse(headers: Mapping[str, str], body: bytes) -> GiteaDelivery:
    """Return what the delivery says; unknown fields are ignored.

    Raises MessageError with the field's path when it is no JSON or misses what Conveyor needs, and when it is no
    delivery of Gitea's: GitHub's headers stand on Gitea's too, so only X-Gitea-Event tells.
    """
    event, event_type = _header(headers, EVENT_HEADER), _header(headers, EVENT_TYPE_HEADER)
    fine = event_type or event
    if not fine:
        raise MessageError(f"Gitea webhook: the request has no {EVENT_HEADER} header")
    envelope = _decode(body, shapes.Envelope)
    content = _content(fine, body)
    if content is not None:
        for name, value in (("repository", envelope.repository), ("sender", envelope.sender)):
            if value is None:
                raise MessageError(f"Gitea webhook: Object missing required field `{name}` - at `$`")
    return GiteaDelivery(
        event=event,
        event_type=fine,
        delivery_id=delivery_id_of(headers),
        repository=envelope.repository.full_name if envelope.repository else "",
        sender=envelope.sender.login if envelope.sender else "",
        sender_id=str(envelope.sender.id) if envelope.sender else "",
        content=content,
    )


def _content(fine: str, body: bytes) -> Content | None:
    """Read the body by its fine name; where one name has two shapes, by what is in it."""
    if fine == "push":
        return _push(_decode(body, shapes.PushHook))
    if fine in ("create", "delete"):
        return _ref(_decode(body, shapes.RefHook), is_created=fine == "create")
    if fine == "status":
        return _status(_decode(body, shapes.StatusHook))
    if fine == "workflow_run":
        return _workflow(_decode(body, shapes.WorkflowHook))
    if fine.startswith("pull_request") or fine == "issue_comment":
        return _pull_or_talk(fine, body)
    return None


class _Peek(Struct, frozen=True):
    """What tells the shapes apart that share a name (docs/protocols.md, Gitea: the trap)."""

    comment: Any = None
    review: Any = None


def _pull_or_talk(fine: str, body: bytes) -> Content:
    peek = _decode(body, _Peek)
    if peek.comment:
        return _comment(_decode(body, shapes.CommentHook))
    if peek.review:
        return _review(fine, _decode(body, shapes.ReviewHook))
    hook = _decode(body, shapes.PullHook)
    return pull_of(hook.pull_request, hook.action)


def _push(hook: shapes.PushHook) -> Push:
    return Push(
        branch=_short(hook.ref) if not hook.ref.startswith("refs/tags/") else "",
        before=hook.before if hook.before.strip("0") else "",
        after=hook.after if hook.after.strip("0") else "",
    )


def _ref(hook: shapes.RefHook, *, is_created: bool) -> RefChange:
    return RefChange(name=_short(hook.ref), is_branch=hook.ref_type == "branch", is_created=is_created, sha=hook.sha)


def _review(fine: str, hook: shapes.ReviewHook) -> Review:
    word = fine.rpartition("_")[2]
    return Review(
        pull=pull_of(hook.pull_request, "reviewed"),
        verdict=_VERDICTS.get(word) or _VERDICTS.get(hook.review.type.rpartition("_")[2], "commented"),
        text=hook.review.content,
    )


def _comment(hook: shapes.CommentHook) -> Comment:
    return Comment(
        action=hook.action,
        comment_id=hook.comment.id,
        number=hook.issue.number,
        is_pull=hook.is_pull,
        text=hook.comment.body,
        at=hook.comment.created_at,
    )


def _status(hook: shapes.StatusHook) -> Status:
    return Status(
        sha=hook.sha,
        context=hook.context,
        state=hook.state,
        description=hook.description,
        target_url=hook.target_url,
        at=_known(hook.updated_at) or hook.created_at,
    )


def _workflow(hook: shapes.WorkflowHook) -> WorkflowRun:
    run = hook.workflow_run
    return WorkflowRun(
        action=hook.action,
        run=run.id,
        attempt=run.run_attempt,
        sha=run.head_sha,
        branch=run.head_branch or "",
        conclusion=run.conclusion or "",
        title=run.display_title,
        at=_known(run.completed_at),
    )


def _known(at: datetime | None) -> datetime | None:
    """Return a time unless it is Go's zero time, which stands for none."""
    return at if at and at.year > 1 else None


def _short(ref: str) -> str:
    return ref.removeprefix("refs/heads/").removeprefix("refs/tags/")


def _decode(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"Gitea webhook: {error}") from error


def _header(headers: Mapping[str, str], name: str) -> str:
    wanted = name.lower()
    if (found := headers.get(wanted)) is not None:  # as servers hand them over
        return found
    return next((value for key, value in headers.items() if key.lower() == wanted), "")
