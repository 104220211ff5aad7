"""`POST /webhook/<source>`: who may speak at all, how much, and what each outcome is called in HTTP (GW-1 … GW-5)."""

from collections.abc import Mapping
from typing import assert_never

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from conveyor.gateway.core.drafts import Ignored
from conveyor.gateway.figures import Figures
from conveyor.gateway.handlers import Answer, Intake, Kept, Malformed, Unavailable
from conveyor.gateway.http.hang_up import HangUp
from conveyor.gateway.ports import Source
from conveyor.servicekit import logs

JSON = "application/json"


class Refused(Exception):  # noqa: N818 - the sender's mistake, not ours
    """A request that is not read to its end: the status, the reason for counting, and a sentence."""

    def __init__(self, status: int, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.reason = reason


def routes(sources: tuple[Source, ...], intake: Intake, figures: Figures, max_body_bytes: int) -> APIRouter:
    """Return one route a source."""
    router = APIRouter()
    for source in sources:
        door = Door(source, intake, figures, max_body_bytes)
        router.add_api_route(f"/webhook/{source.name}", door.answer, methods=["POST"], response_model=None)
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
        try:
            body = await self._verified(request)
        except Refused as refused:
            self._figures.count(name, "refused", refused.reason)
            self._log.warning("refused", source=name, reason=refused.reason, detail=str(refused))
            body_of = {"status": "refused", "reason": refused.reason, "detail": str(refused)}
            return JSONResponse(body_of, refused.status)  # the server throws away what still comes of the body
        except ClientDisconnect:
            self._figures.count(name, "refused", "disconnected")
            return Response(status_code=400)
        with self._figures.timing(name):
            answer = await self._intake.take(self._source, request.headers, body)
        return self._said(answer)

    async def _verified(self, request: Request) -> bytes:
        """Return the raw body of a request that one of our secrets signed."""
        if not any(self._source.secrets):
            raise Refused(503, "no_secret", f"no webhook secret is configured for {self._source.name}")
        signature = self._source.signature_of(request.headers)
        if not signature:
            raise Refused(401, "unsigned", "the signature header is missing or empty")
        self._check_head(request.headers)
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            self._check_size(len(body))
        if not self._source.verify(bytes(body), signature, self._source.secrets):
            raise Refused(401, "bad_signature", "the signature does not belong to this body")
        return bytes(body)

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

    def _said(self, answer: Answer) -> Response:
        name = self._source.name
        match answer:
            case Kept(event=event, is_duplicate=is_duplicate):
                status = "duplicate" if is_duplicate else "stored"
                self._figures.count(name, status, type(event).__name__)
                return JSONResponse({"status": status, "event_id": event.event_id, "trace_id": event.trace_id})
            case Ignored(kind=kind, reason=reason):
                self._figures.count(name, "ignored", kind)
                self._log.info("ignored", source=name, kind=str(kind), reason=reason)
                return JSONResponse({"status": "ignored", "kind": kind, "reason": reason}, 202)
            case Malformed(reason=reason):
                self._figures.count(name, "refused", "malformed")
                self._log.warning("refused", source=name, reason="malformed", detail=reason)
                return JSONResponse({"status": "refused", "reason": "malformed", "detail": reason}, 400)
            case Unavailable(reason=reason):
                self._figures.count(name, "unavailable", "hung_up")
                self._log.error("delivery not kept, hanging up", source=name, reason=reason)
                return HangUp({"status": "unavailable", "reason": reason}, 503)
            case _:
                assert_never(answer)
