"""Tells people through a Telegram bot: one message to one chat, with a link (SE-20)."""

import httpx

from conveyor.adapters.transport import client_for, request, retry_after_s, send
from conveyor.contracts.errors import PermanentError, TransientError

API = "https://api.telegram.org"
MAX_UNITS = 4096
"""Telegram's limit for one message, in units of UTF-16: an emoji is two."""
_MARKS = {"warning": "⚠️ ", "alert": "🛑 "}


class Telegram:
    """One bot and one chat. The token is part of the address, so no error ever shows the address."""

    def __init__(self, token: str, chat_id: str, url: str = API) -> None:
        self._client = client_for("notify.telegram_token", f"{url.rstrip('/')}/bot{token}/")
        self._chat_id = chat_id

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def notify(self, level: str, text: str, link: str = "") -> None:
        """Send one message; a longer text is cut, the link is kept."""
        await self.send(_MARKS.get(level, "") + text, link)

    async def send(self, text: str, link: str = "") -> None:
        """Send plain text and a link on a line of its own; a ConveyorError when Telegram does not take it."""
        tail = f"\n{link}" if link else ""
        body = {"chat_id": self._chat_id, "text": _cut(text, MAX_UNITS - _units(tail)) + tail}
        doing = "sending a Telegram message"
        response = await send(self._client, request(self._client, doing, "POST", "sendMessage", json=body), doing)
        if response.is_success:
            return
        if response.status_code == 429:
            raise TransientError(f"{doing}: asked to wait", retry_after_s=_asked_s(response))
        if response.status_code >= 500:
            raise TransientError(f"{doing}: answered {response.status_code}")
        raise PermanentError(f"{doing}: answered {response.status_code}; are the bot's token and the chat id right?")


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "replace")) // 2


def _cut(text: str, units: int) -> str:
    return text.encode("utf-16-le", "replace")[: 2 * units].decode("utf-16-le", "ignore")


def _asked_s(response: httpx.Response) -> float | None:
    """Return Telegram's own word, which stands in the body, or the header's."""
    try:
        return float(response.json()["parameters"]["retry_after"])
    except (ValueError, KeyError, TypeError):
        return retry_after_s(response.headers)
