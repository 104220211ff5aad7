"""What Plane's refusals mean, as a pure table: which error to raise for an answer that is no success."""

import httpx
import msgspec

from conveyor.adapters.transport import retry_after_s
from conveyor.contracts.errors import ConveyorError, PermanentError, TransientError

DEFAULT_WAIT_S = 60.0
"""How long a 429 without Retry-After keeps us silent: the length of Plane's window."""
_BAD_KEY = "Given API token is not valid"
_NO_OBJECT = "The requested resource does not exist."


class InvalidKeyError(PermanentError):
    """The API key is wrong, expired or inactive."""


class NoPermissionError(PermanentError):
    """The key is good, but its user may not do this here."""


class NoObjectError(PermanentError):
    """The address exists, the object does not: deleted, archived or never there."""


class NoPageError(PermanentError):
    """No such address: an older Plane, or a wrong `plane.url`."""


class DuplicateError(PermanentError):
    """Something with the same external id, or the same name, is already there."""


def words_of(body: bytes) -> str:
    """Return the text of a refusal: `detail`, `error` or the body itself, at most 300 characters."""
    try:
        answer = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body[:300].decode("utf-8", "replace")
    if isinstance(answer, dict):
        for name in ("detail", "error", "error_message"):
            if isinstance(answer.get(name), str):
                return str(answer[name])[:300]
    return body[:300].decode("utf-8", "replace")


def refusal(status: int, headers: httpx.Headers, body: bytes, doing: str) -> ConveyorError:
    """Return the error for an answer that is neither a success nor a 500 (facts: Plane tells 403 apart by text)."""
    words = words_of(body)
    if status == 429:
        return TransientError(f"{doing}: the tracker asks for a pause", retry_after_s=_wait_s(headers))
    if status >= 500 or status in (408, 425):
        return TransientError(f"{doing}: answered {status}: {words}", retry_after_s=retry_after_s(headers))
    if status in (401, 403):
        return _not_allowed(words, doing)
    if 300 <= status < 400:
        return PermanentError(f"{doing}: redirected to {headers.get('location', '?')}; set plane.url to that host")
    return _not_done(status, words, doing)


def _not_done(status: int, words: str, doing: str) -> PermanentError:
    if status == 404:
        return NoObjectError(f"{doing}: {words}") if words == _NO_OBJECT else NoPageError(f"{doing}: 404: {words}")
    if status == 409:
        return DuplicateError(f"{doing}: {words}")
    return PermanentError(f"{doing}: answered {status}: {words}")


def _wait_s(headers: httpx.Headers) -> float:
    wanted = retry_after_s(headers)
    return DEFAULT_WAIT_S if wanted is None else wanted


def _not_allowed(words: str, doing: str) -> PermanentError:
    if words == _BAD_KEY:
        return InvalidKeyError(f"{doing}: Plane does not know the API key; make a new one and set plane.api_key")
    if "credentials were not provided" in words:
        return InvalidKeyError(f"{doing}: no API key was sent; set plane.api_key")
    return NoPermissionError(f"{doing}: {words} Is the bot a member of the project, and its name spelt right?")
