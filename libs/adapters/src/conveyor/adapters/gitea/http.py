"""One REST client for Gitea: token, pages, typed answers, and errors of our two kinds."""

import json
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Struct

from conveyor.adapters.transport import Streaks, client_for, request, retry_after_s, send
from conveyor.contracts.errors import ConveyorError, PermanentError, TransientError

PAGE = 50
"""Gitea's cap (MAX_RESPONSE_ITEMS); a server may be set lower, so pages are counted by X-Total-Count."""
_MAX_PAGES = 200
T = TypeVar("T")


class RefusedError(PermanentError):
    """An answer that is a no: HTTP's `status` and Gitea's `words`, which are often all that tells cases apart."""

    def __init__(self, message: str, *, status: int, words: str) -> None:
        super().__init__(message)
        self.status = status
        self.words = words


class Call(Struct, frozen=True, kw_only=True):
    """One request below `/api/v1/`; `doing` is for the reader of an error."""

    path: str
    doing: str
    method: str = "GET"
    params: dict[str, str] = {}
    body: dict[str, Any] | None = None


class Answer(Struct, frozen=True, kw_only=True):
    """What was answered, whatever its status."""

    status: int
    body: bytes
    total: int | None = None
    """How many rows there are over all pages, where Gitea tells."""


class GiteaHttp:
    """Sends calls with one token. Follows no redirect: one turns a POST into a GET."""

    def __init__(self, url: str, token: str) -> None:
        headers = {"Authorization": f"token {token}"}
        self._client = client_for("gitea.url or gitea.token", f"{url.rstrip('/')}/api/v1/", headers)
        self._streaks = Streaks()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def exchange(self, call: Call) -> Answer:
        """Return the answer of any status; TransientError when none came."""
        asked = request(self._client, call.doing, call.method, call.path, params=call.params, json=call.body)
        response = await send(self._client, asked, call.doing)
        if response.status_code == 429:
            wait_s = retry_after_s(response.headers)
            raise TransientError(f"{call.doing}: the forge asks for a pause", retry_after_s=wait_s)
        total = response.headers.get("x-total-count", "")
        return Answer(
            status=response.status_code, body=response.content, total=int(total) if total.isdecimal() else None
        )

    async def ask(self, call: Call, kind: type[T]) -> T:
        """Return the answer as `kind`; RefusedError for a no, TransientError for a server in trouble."""
        return decode(await self.succeed(call), kind, call.doing)

    async def find(self, call: Call, kind: type[T]) -> T | None:
        """Return the answer as `kind`, or None when there is no such thing (or it is hidden from the token)."""
        answer = await self.find_answer(call)
        return None if answer is None else decode(answer, kind, call.doing)

    async def find_answer(self, call: Call) -> Answer | None:
        """Return a 2xx answer, or None for a 404; raise for any other."""
        try:
            return await self.succeed(call)
        except RefusedError as error:
            if error.status == 404:
                return None
            raise

    async def rows(self, call: Call, kind: type[list[T]]) -> list[T]:
        """Return all rows of a list, over all its pages."""
        rows: list[T] = []
        for number in range(1, _MAX_PAGES + 1):
            params = {**call.params, "page": str(number), "limit": str(PAGE)}
            answer = await self.succeed(msgspec.structs.replace(call, params=params))
            page = [] if answer.body.strip() == b"null" else decode(answer, kind, call.doing)
            rows.extend(page)
            if not page or (answer.total is not None and len(rows) >= answer.total):
                return rows
        raise PermanentError(f"{call.doing}: more than {_MAX_PAGES} pages")

    async def succeed(self, call: Call) -> Answer:
        """Return a 2xx answer; raise for any other."""
        answer = await self.exchange(call)
        name = f"{call.method} {call.path}"
        if answer.status == 500:
            raise self._streaks.failed(name, call.doing, words_of(answer.body))
        self._streaks.clear(name)
        if 200 <= answer.status < 300:
            return answer
        raise refusal(answer.status, words_of(answer.body), call.doing)


def decode(answer: Answer, kind: type[T], doing: str) -> T:
    """Return the body as `kind`; PermanentError when it is something else."""
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PermanentError(f"{doing}: not what Gitea answers ({error}); is gitea.url the root of Gitea?") from error


def refusal(status: int, words: str, doing: str) -> ConveyorError:
    """Return the error for an answer that is neither a success nor a 500."""
    if status > 500 or status in (408, 425):
        return TransientError(f"{doing}: answered {status}: {words}")
    hints = {
        401: "; is gitea.token right and not revoked?",
        403: "; has the token's account the right and the token the scope (write:repository)?",
        404: "; does it exist, and may the token's account see it?",
        423: "; the repository is archived",
    }
    hint = hints.get(status, "; is gitea.url right?" if 300 <= status < 400 else "")
    return RefusedError(f"{doing}: answered {status}: {words}{hint}", status=status, words=words)


def words_of(body: bytes) -> str:
    """Return an error's `message`, at most 500 characters; older versions write two JSON objects in a row."""
    text = body.decode("utf-8", "replace").strip()
    try:
        first, _ = json.JSONDecoder().raw_decode(text)
    except ValueError:
        return text[:500]
    return str(first.get("message") or "")[:500] if isinstance(first, dict) else text[:500]


def part(name: str) -> str:
    """Return a name for use inside an address; slashes stay, as in branch names and paths."""
    return quote(name, safe="/")


class Topic:
    """What one topic of the forge's interface stands on."""

    def __init__(self, http: GiteaHttp) -> None:
        self._http = http
