"""The OpenAPI document of the gateway. Of the webhooks it says little: their bodies are the senders' own words."""

from typing import Any

from fastapi import FastAPI

from conveyor.gateway.http.webhooks import PREFIX
from conveyor.gateway.ports import Source

ANSWERS = {
    200: "The event is on disk (`stored`), or was there already (`duplicate`).",
    202: "Kept and told later (`spooled`), or of no use to us (`ignored`, with its kind and reason).",
    400: "Not what this source sends; the detail names the first field that is wrong.",
    401: "No signature, or not one of ours.",
    408: "The body did not end in time.",
    413: "Larger than `gateway.max_body_bytes`.",
    415: "Not `application/json`.",
    503: "No secret is configured for this source.",
}
STATUSES = ("stored", "duplicate", "spooled", "ignored", "refused")
FIELDS = ("event_id", "trace_id", "kind", "reason", "detail")
DESCRIPTION = (
    "Signed with HMAC-SHA256 over the raw body. When a delivery can be kept nowhere, the connection is closed without"
    " an answer: a sender that tries again at all does so then, and only then."
)


def describe(app: FastAPI, sources: tuple[Source, ...]) -> None:
    """Add the webhooks, which the framework never sees, to the document it makes of its own routes."""
    made = app.openapi

    def whole() -> dict[str, Any]:
        document = made()
        for source in sources:
            document["paths"][f"{PREFIX}{source.name}"] = {"post": _delivery(source)}
        return document

    app.openapi = whole  # type: ignore[method-assign] # the framework's documented way to extend the document


def _delivery(source: Source) -> dict[str, Any]:
    signature = {"name": source.signature_header, "in": "header", "required": True, "schema": {"type": "string"}}
    return {
        "operationId": f"deliver_{source.name}",
        "summary": f"One webhook delivery of {source.name}'s",
        "description": DESCRIPTION,
        "parameters": [signature],
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
        "responses": {str(status): _answer(description) for status, description in ANSWERS.items()},
    }


def _answer(description: str) -> dict[str, Any]:
    texts: dict[str, Any] = {name: {"type": "string"} for name in FIELDS}
    schema = {
        "type": "object",
        "required": ["status"],
        "properties": {"status": {"enum": list(STATUSES)}, **texts},
        "additionalProperties": False,
    }
    return {"description": description, "content": {"application/json": {"schema": schema}}}
