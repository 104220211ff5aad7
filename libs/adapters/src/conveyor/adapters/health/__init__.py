"""Asks a deployed system how it is, over HTTP: what the post-deploy monitor and the `healthy` check see (SE-18)."""

import httpx

TIMEOUT_S = 5.0


class HttpProbe:
    """Asks one URL; an answer from 200 to 299 is good, anything else, silence too, is not."""

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self._client = httpx.AsyncClient(timeout=timeout_s, follow_redirects=True)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def healthy(self, url: str) -> bool:
        """Whether the URL answered well within the time-out; never raises for a system that does not answer."""
        try:
            return (await self._client.get(url)).is_success
        except httpx.HTTPError:
            return False
