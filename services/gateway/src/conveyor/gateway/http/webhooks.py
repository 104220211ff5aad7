"""`POST /webhook/<source>`: who may speak at all, how much, and what each outcome is called in HTTP (GW-1 … GW-5).

The doors stand in front of the web framework, which would take longer than everything else that happens here.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, assert_never

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from conveyor.gateway.admission import Kept
from conveyor.gateway.core.drafts import Ignored, IgnoredKind
from conveyor.gateway.figures import Figures
from conveyor.gateway.handlers import Answer, Intake, Malformed, Spooled, Unavailable
from conveyor.gateway.http.hang_up import hang_up
from conveyor.gateway.http.whole import has_come_whole, send_whole
from conveyor.gateway.ports import Source
from conveyor.servicekit import logs
from conveyor.servicekit.clock import SYSTEM_CLOCK

JSON = "application/json"
PREFIX = "/webhook/"
BODY_WITHIN_S = 10.0
"""From a delivery's head to the end of its body; Gitea itself gives up after 5, Plane after 30."""
SLOW = 408
_encode = msgspec.json.Encoder().encode


class Refused(Exception):  # noqa: N818 - the sender's mistake, not ours
    """A request that is not read to its end: the status, the reason for counting, and a sentence."""

    def __init__(self, status: int, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.reason = reason


class Disconnected(Exception):  # noqa: N818 - the sender's doing, not ours
    """The sender went away before its request ended; there is nobody to answer."""


class Said(msgspec.Struct, frozen=True):
    """An answer in HTTP."""

    status: int
    body: Mapping[str, Any]


class Doors:
    """Answers the webhooks of all sources and leaves every other request to the application behind."""

    def __init__(self, doors: Mapping[str, "Door"], behind: ASGIApp) -> None:
        self._doors = {f"{PREFIX}{name}": door for name, door in doors.items()}
        self._behind = behind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a slash too many at the end of the address must not cost every delivery."""
        door = self._doors.get(scope["path"].rstrip("/")) if scope["type"] == "http" else None
        if door is None:
            await self._behind(scope, receive, send)
        elif scope["method"] != "POST":
            await _send(send, Said(405, {"status": "refused", "reason": "method", "detail": "expected POST"}))
        else:
            await door.answer(scope, receive, send)


class Door:
    """The entrance of one source."""

    def __init__(self, source: Source, intake: Intake, figures: Figures, max_body_bytes: int) -> None:
        self._source = source
        self._intake = intake
        self._figures = figures
        self._max_body_bytes = max_body_bytes
        self._log = logs.get("webhooks")

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one delivery, or close its connection where no answer is better than any."""
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        try:
            body = await self._verified(headers, receive)
        except Refused as refused:
            # the server throws away what still comes of the body
            await _send(send, self._refused(refused.status, refused.reason, str(refused)))
            return
        except Disconnected:
            self._figures.count(self._source.name, "refused", "disconnected")
            return
        begun = SYSTEM_CLOCK.monotonic()
        answer = await self._intake.take(self._source, headers, body)
        self._figures.took(self._source.name, SYSTEM_CLOCK.monotonic() - begun)
        if isinstance(answer, Unavailable):
            self._figures.count(self._source.name, "unavailable", "hung_up")
            self._log.error("delivery not kept, hanging up", source=self._source.name, reason=answer.reason)
            if await hang_up(receive, send):
                return
        await _send(send, self._said(answer))

    async def _verified(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        """Return the raw body of a request that one of our secrets signed."""
        if not self._source.secrets:
            raise Refused(503, "no_secret", f"no webhook secret is configured for {self._source.name}")
        signature = self._source.signature_of(headers)
        if not signature:
            raise Refused(401, "unsigned", "the signature header is missing or empty")
        self._check_head(headers)
        body = await (self._body(receive) if has_come_whole(receive) else self._body_in_time(receive))
        if not self._source.verify(body, signature, self._source.secrets):
            raise Refused(401, "bad_signature", "the signature does not belong to this body")
        return body

    def _check_head(self, headers: Mapping[str, str]) -> None:
        content_type = headers.get("content-type", "")
        if content_type != JSON and content_type.partition(";")[0].strip().lower() != JSON:
            raise Refused(415, "content_type", f"expected {JSON}, got {content_type or 'no content type'}")
        length = headers.get("content-length", "")
        if length.isdigit():
            self._check_size(int(length))

    async def _body_in_time(self, receive: Receive) -> bytes:
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                return await self._body(receive)
        except TimeoutError:
            raise Refused(SLOW, "slow", f"the body took longer than {BODY_WITHIN_S:g} s") from None

    async def _body(self, receive: Receive) -> bytes:
        chunks, size, is_more = [], 0, True
        while is_more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            chunk, is_more = message.get("body", b""), message.get("more_body", False)
            size += len(chunk)
            self._check_size(size)
            chunks.append(chunk)
        return b"".join(chunks)

    def _check_size(self, size: int) -> None:
        if size > self._max_body_bytes:
            raise Refused(413, "too_large", f"more than {self._max_body_bytes} bytes")

    def _said(self, answer: Answer) -> Said:
        name = self._source.name
        match answer:
            case Kept(event=event, is_duplicate=is_duplicate):
                status = "duplicate" if is_duplicate else "stored"
                self._figures.count(name, status, type(event).__name__)
                return Said(200, {"status": status, "event_id": event.event_id, "trace_id": event.trace_id})
            case Spooled(reason=reason):
                self._figures.count(name, "spooled", "")
                self._log.debug("spooled", source=name, reason=reason)
                return Said(202, {"status": "spooled", "reason": reason})
            case Ignored():
                return self._ignored(answer)
            case Malformed(reason=reason):
                return self._refused(400, "malformed", reason)
            case Unavailable(reason=reason):
                return Said(503, {"status": "unavailable", "reason": reason})
            case _:
                assert_never(answer)

    def _refused(self, status: int, reason: str, detail: str) -> Said:
        self._figures.count(self._source.name, "refused", reason)
        self._log.warning("refused", source=self._source.name, reason=reason, detail=detail)
        return Said(status, {"status": "refused", "reason": reason, "detail": detail})

    def _ignored(self, answer: Ignored) -> Said:
        name, kind = self._source.name, str(answer.kind)
        self._figures.count(name, "ignored", kind)
        say = self._log.warning if answer.kind is IgnoredKind.UNSUPPORTED else self._log.debug
        say("ignored", source=name, kind=kind, reason=answer.reason)
        return Said(202, {"status": "ignored", "kind": kind, "reason": answer.reason})


async def _send(send: Send, said: Said) -> None:
    body = _encode(said.body)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if said.status == SLOW:
        headers.append((b"connection", b"close"))
    await send_whole(send, said.status, headers, body)
