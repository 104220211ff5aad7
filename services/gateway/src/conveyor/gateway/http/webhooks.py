"""`POST /webhook/<source>`: who may speak at all, how much, and what each outcome is called in HTTP (GW-1 … GW-5)."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, assert_never

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from conveyor.gateway.admission import Kept
from conveyor.gateway.core.drafts import Ignored, IgnoredKind
from conveyor.gateway.figures import Figures
from conveyor.gateway.handlers import Answer, Intake, Malformed, Spooled, Unavailable
from conveyor.gateway.http.hang_up import HangUp
from conveyor.gateway.http.webhook_document import described
from conveyor.gateway.ports import Source
from conveyor.servicekit import logs

JSON = "application/json"
_encode = msgspec.json.Encoder().encode


class Refused(Exception):  # noqa: N818 - the sender's mistake, not ours
    """A request that is not read to its end: the status, the reason for counting, and a sentence."""

    def __init__(self, status: int, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.reason = reason


class BareRoute(APIRoute):
    """A route whose endpoint takes the request as it comes: nothing is parsed, checked or encoded around it."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override] # wider than ours
        """Return the endpoint itself."""
        endpoint: Callable[[Request], Awaitable[Response]] = self.endpoint
        return endpoint


def routes(sources: tuple[Source, ...], intake: Intake, figures: Figures, max_body_bytes: int) -> APIRouter:
    """Return one route a source."""
    router = APIRouter(route_class=BareRoute)
    for source in sources:
        door = Door(source, intake, figures, max_body_bytes)
        about = described(source.name, source.signature_header)
        router.add_api_route(f"/webhook/{source.name}", door.answer, methods=["POST"], response_model=None, **about)
    return router


class Door:
    """The entrance of one source."""

    def __init__(self, source: Source, intake: Intake, figures: Figures, max_body_bytes: int) -> None:
        self._source = source
        self._intake = intake
        self._figures = figures
        self._max_body_bytes = max_body_bytes
        self._log = logs.get("webhooks")

    async def answer(self, request: Request) -> Response:
        """Return the answer to one delivery."""
        name = self._source.name
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in request.scope["headers"]}
        try:
            body = await self._verified(request, headers)
        except Refused as refused:
            self._figures.count(name, "refused", refused.reason)
            self._log.warning("refused", source=name, reason=refused.reason, detail=str(refused))
            # the server throws away what still comes of the body
            return _said(refused.status, {"status": "refused", "reason": refused.reason, "detail": str(refused)})
        except ClientDisconnect:
            self._figures.count(name, "refused", "disconnected")
            return Response(status_code=400)
        with self._figures.timing(name):
            answer = await self._intake.take(self._source, headers, body)
        return self._answered(answer)

    async def _verified(self, request: Request, headers: Mapping[str, str]) -> bytes:
        """Return the raw body of a request that one of our secrets signed."""
        if not any(self._source.secrets):
            raise Refused(503, "no_secret", f"no webhook secret is configured for {self._source.name}")
        signature = self._source.signature_of(headers)
        if not signature:
            raise Refused(401, "unsigned", "the signature header is missing or empty")
        self._check_head(headers)
        chunks, size = [], 0
        async for chunk in request.stream():
            chunks.append(chunk)
            size += len(chunk)
            self._check_size(size)
        body = b"".join(chunks)
        if not self._source.verify(body, signature, self._source.secrets):
            raise Refused(401, "bad_signature", "the signature does not belong to this body")
        return body

    def _check_head(self, headers: Mapping[str, str]) -> None:
        content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != JSON:
            raise Refused(415, "content_type", f"expected {JSON}, got {content_type or 'no content type'}")
        length = headers.get("content-length", "")
        if length.isdigit():
            self._check_size(int(length))

    def _check_size(self, size: int) -> None:
        if size > self._max_body_bytes:
            raise Refused(413, "too_large", f"more than {self._max_body_bytes} bytes")

    def _answered(self, answer: Answer) -> Response:
        name = self._source.name
        match answer:
            case Kept(event=event, is_duplicate=is_duplicate):
                status = "duplicate" if is_duplicate else "stored"
                self._figures.count(name, status, type(event).__name__)
                return _said(200, {"status": status, "event_id": event.event_id, "trace_id": event.trace_id})
            case Spooled(reason=reason):
                self._figures.count(name, "spooled", "")
                self._log.debug("spooled", source=name, reason=reason)
                return _said(202, {"status": "spooled", "reason": reason})
            case Ignored():
                return self._ignored(answer)
            case Malformed(reason=reason):
                self._figures.count(name, "refused", "malformed")
                self._log.warning("refused", source=name, reason="malformed", detail=reason)
                return _said(400, {"status": "refused", "reason": "malformed", "detail": reason})
            case Unavailable(reason=reason):
                self._figures.count(name, "unavailable", "hung_up")
                self._log.error("delivery not kept, hanging up", source=name, reason=reason)
                return HangUp({"status": "unavailable", "reason": reason}, 503)
            case _:
                assert_never(answer)

    def _ignored(self, answer: Ignored) -> Response:
        name, kind = self._source.name, str(answer.kind)
        self._figures.count(name, "ignored", kind)
        say = self._log.warning if answer.kind is IgnoredKind.UNSUPPORTED else self._log.debug
        say("ignored", source=name, kind=kind, reason=answer.reason)
        return _said(202, {"status": "ignored", "kind": kind, "reason": answer.reason})


def _said(status: int, body: Mapping[str, Any]) -> Response:
    return Response(_encode(body), status, media_type=JSON)
