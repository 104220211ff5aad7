"""The ground every HTTP adapter stands on: no answer becomes a TransientError, and a 500 is not retried for ever."""

from collections import OrderedDict
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from conveyor.contracts.errors import ConveyorError, PermanentError, SettingsError, TransientError

TIMEOUT = httpx.Timeout(connect=5.0, read=30.0, write=30.0, pool=30.0)
"""Seconds; Plane and Gitea answer in well under one, a merge of a large repository takes several."""
MAX_STREAK = 8
"""This many 500s in a row for the same request are the caller's mistake (Plane answers some of those with 500)."""
_REMEMBERED = 1000


def client_for(setting: str, url: str, headers: dict[str, str] | None = None) -> httpx.AsyncClient:
    """Return a client for what lies below an address; SettingsError, which names its setting, when it is none."""
    try:
        return httpx.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT)
    except (httpx.InvalidURL, UnicodeEncodeError) as error:
        raise SettingsError(f"{setting}: cannot be used in a request ({type(error).__name__})") from error


def request(client: httpx.AsyncClient, doing: str, method: str, path: str, **content: Any) -> httpx.Request:
    """Return a request; PermanentError when no address can be made of the path, such as one with a line break."""
    try:
        return client.build_request(method, path, **content)
    except (httpx.InvalidURL, UnicodeEncodeError) as error:
        raise PermanentError(f"{doing}: the address cannot be used: {type(error).__name__}") from error


async def send(client: httpx.AsyncClient, request: httpx.Request, doing: str) -> httpx.Response:
    """Send one request and return whatever was answered.

    Raises TransientError when no answer came, PermanentError when the address cannot be asked at all.
    The text never holds the address: some carry a secret.
    """
    try:
        return await client.send(request)
    except (httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
        raise PermanentError(f"{doing}: the address cannot be used: {type(error).__name__}") from error
    except httpx.RequestError as error:
        raise TransientError(f"{doing}: no answer from {request.url.host}: {type(error).__name__}") from error


def retry_after_s(headers: httpx.Headers) -> float | None:
    """Return the wait that an answer asks for in seconds; a date is read against the answer's own Date header."""
    wanted = headers.get("retry-after", "").strip()
    if wanted.replace(".", "", 1).isdecimal():
        return float(wanted)
    until, now = _http_date(wanted), _http_date(headers.get("date", ""))
    return max(0.0, (until - now).total_seconds()) if until and now else None


def _http_date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return None


class Streaks:
    """How often each request was answered 500 in a row; bounded, forgotten with the first other answer."""

    def __init__(self, limit: int = MAX_STREAK) -> None:
        self._limit = limit
        self._counts: OrderedDict[str, int] = OrderedDict()

    def clear(self, request: str) -> None:
        """Forget the request: it was answered."""
        self._counts.pop(request, None)

    def failed(self, request: str, doing: str, words: str) -> ConveyorError:
        """Count one more 500 and return the error to raise: transient at first, permanent at the limit."""
        count = self._counts.pop(request, 0) + 1
        if count >= self._limit:
            return PermanentError(f"{doing}: answered 500 {count} times in a row: {words}")
        self._counts[request] = count
        if len(self._counts) > _REMEMBERED:
            self._counts.popitem(last=False)
        return TransientError(f"{doing}: answered 500: {words}")
