"""What the gateway's OpenAPI document says of the webhooks: the senders' own words, so no more than that it is JSON."""

from typing import Any

ANSWERS = {
    200: ("stored", "The event is on disk; `duplicate` when it was there already."),
    202: ("spooled", "Kept and told later (`spooled`), or of no use to us (`ignored`, with its kind and reason)."),
    400: ("refused", "Not what this source sends; the detail names the first field that is wrong."),
    401: ("refused", "No signature, or not one of ours."),
    413: ("refused", "Larger than `gateway.max_body_bytes`."),
    415: ("refused", "Not `application/json`."),
    503: ("refused", "No secret is configured for this source."),
}
FIELDS = ("event_id", "trace_id", "kind", "reason", "detail")


def described(source: str, signature_header: str) -> dict[str, Any]:
    """Return what a route of this source is called and may answer, as the framework takes it."""
    signature = {"name": signature_header, "in": "header", "required": True, "schema": {"type": "string"}}
    body = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
    return {
        "operation_id": f"deliver_{source}",
        "summary": f"One webhook delivery of {source}'s",
        "description": "Signed with HMAC-SHA256 over the raw body. When a delivery can be kept nowhere, the connection"
        " is closed without an answer, which makes a sender that retries at all try again.",
        "openapi_extra": {"parameters": [signature], "requestBody": body},
        "status_code": 200,
        "responses": {status: _answer(status) for status in ANSWERS},
    }


def _answer(status: int) -> dict[str, Any]:
    example, description = ANSWERS[status]
    properties = {"status": {"type": "string", "example": example}, **{name: {"type": "string"} for name in FIELDS}}
    schema = {"type": "object", "required": ["status"], "properties": properties, "additionalProperties": False}
    return {"description": description, "content": {"application/json": {"schema": schema}}}
