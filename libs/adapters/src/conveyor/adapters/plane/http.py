"""One REST client for Plane: key, trailing slash, rate limit, typed answers, and errors of our two kinds."""

from collections.abc import AsyncIterator
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from conveyor.adapters.plane.limiter import Limiter, shared_limiter
from conveyor.adapters.plane.refusals import refusal, words_of
from conveyor.adapters.transport import Streaks, client_for, request, send
from conveyor.contracts.errors import PermanentError, TransientError

T = TypeVar("T")


class Call(Struct, frozen=True, kw_only=True):
    """One request below `/api/v1/`: `path` without slashes at its ends, `doing` for the reader of an error."""

    path: str
    doing: str
    method: str = "GET"
    params: dict[str, str] = {}
    body: dict[str, Any] | None = None


class Page(Struct, Generic[T], frozen=True):
    """One page of a list; the last one says so, its cursor is never empty."""

    results: list[T]
    next_cursor: str = ""
    next_page_results: bool = False


class PlaneHttp:
    """Sends calls with one key. Never follows a redirect: Plane's turn a PATCH into a GET."""

    def __init__(self, url: str, api_key: str, limiter: Limiter | None = None) -> None:
        self._client = client_for("plane.url or plane.api_key", f"{url.rstrip('/')}/api/v1/", {"X-API-Key": api_key})
        self._limiter: Limiter = limiter or shared_limiter(url, api_key)
        self._streaks = Streaks()
        self.remaining: int | None = None
        """How many calls the last answer still allowed in this minute; None before the first that says so."""

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def ask(self, call: Call, kind: type[T]) -> T:
        """Send the call and return its answer as `kind`; a ConveyorError for anything but a success."""
        body = await self._exchange(call)
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise PermanentError(
                f"{call.doing}: not what Plane answers ({error}); is plane.url the root of Plane?"
            ) from error

    async def pages(self, call: Call, kind: type[Page[T]]) -> AsyncIterator[T]:
        """Yield the rows of a list, asking for pages as they are needed."""
        while True:
            page = await self.ask(call, kind)
            for row in page.results:
                yield row
            if not page.next_page_results:
                return
            call = msgspec.structs.replace(call, params={**call.params, "cursor": page.next_cursor})

    async def _exchange(self, call: Call) -> bytes:
        asked = request(self._client, call.doing, call.method, call.path + "/", params=call.params, json=call.body)
        await self._limiter.take(call.doing)
        response = await send(self._client, asked, call.doing)
        name = f"{call.method} {call.path}"
        if response.status_code == 500:
            raise self._streaks.failed(name, call.doing, words_of(response.content))
        self._streaks.clear(name)
        if response.is_success:
            remaining = response.headers.get("x-ratelimit-remaining", "")
            if remaining.isdecimal():
                self.remaining = int(remaining)
                self._limiter.learn(self.remaining)
            return response.content
        error = refusal(response.status_code, response.headers, response.content, call.doing)
        if response.status_code == 429 and isinstance(error, TransientError) and error.retry_after_s:
            self._limiter.hold(error.retry_after_s)
        raise error
