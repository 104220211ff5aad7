"""Tells people through any webhook address that takes Slack's `{"text": ...}` (SE-20)."""

import httpx

from conveyor.adapters.transport import TIMEOUT, retry_after_s, send
from conveyor.contracts.errors import PermanentError, TransientError


class WebhookOut:
    """One address, which is a secret in itself and never shown in an error."""

    def __init__(self, url: str) -> None:
        self._client = httpx.AsyncClient(timeout=TIMEOUT)
        self._url = url

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def notify(self, level: str, text: str, link: str = "") -> None:
        """Send one message with its level and link as fields of their own, for receivers that are not Slack."""
        await self._post({"text": f"{text}\n{link}" if link else text, "level": level, "link": link})

    async def send(self, text: str, link: str = "") -> None:
        """Send one message; a ConveyorError when it is not taken."""
        await self.notify("info", text, link)

    async def _post(self, body: dict[str, str]) -> None:
        doing = "sending a notification to the webhook address"
        response = await send(self._client, self._client.build_request("POST", self._url, json=body), doing)
        if response.is_success:
            return
        status = response.status_code
        if status in (408, 425, 429) or status >= 500:
            raise TransientError(f"{doing}: answered {status}", retry_after_s=retry_after_s(response.headers))
        raise PermanentError(f"{doing}: answered {status}; is the address right?")
