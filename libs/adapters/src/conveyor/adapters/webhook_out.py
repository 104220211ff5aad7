"""Tells people through any webhook address that takes JSON: Slack, Mattermost, a Matrix bridge, one's own (SE-20)."""

import httpx

from conveyor.adapters.message_template import template_of
from conveyor.adapters.transport import TIMEOUT, request, retry_after_s, send
from conveyor.contracts.errors import PermanentError, TransientError


class WebhookOut:
    """One address, which is a secret in itself and never shown in an error.

    `template` is a name of `message_template.READY` or a JSON text with placeholders; SettingsError for any other.
    """

    def __init__(self, url: str, template: str = "generic") -> None:
        self._template = template_of(template)
        self._client = httpx.AsyncClient(timeout=TIMEOUT)
        self._url = url

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def notify(self, level: str, text: str, link: str = "") -> None:
        """Send one message; TransientError with the wait asked for, or PermanentError, when it is not taken."""
        doing = "sending a notification to the webhook address"
        body, headers = self._template.render(level, text, link), {"Content-Type": "application/json"}
        asked = request(self._client, doing, "POST", self._url, content=body, headers=headers)
        response = await send(self._client, asked, doing)
        if response.is_success:
            return
        status = response.status_code
        if status in (408, 425, 429) or status >= 500:
            raise TransientError(f"{doing}: answered {status}", retry_after_s=retry_after_s(response.headers))
        raise PermanentError(f"{doing}: answered {status}; are the address and the template right?")

    async def send(self, text: str, link: str = "") -> None:
        """Send one message without a level of its own."""
        await self.notify("info", text, link)
