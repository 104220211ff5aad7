"""Asks a deployed system how it is, for the monitor after a deploy (SE-18)."""

import httpx

PATIENCE_S = 5.0


class HealthProbe:
    """Looks at health addresses; every way of not answering well is the same answer: not healthy."""

    def __init__(self, timeout_s: float = PATIENCE_S) -> None:
        self._client = httpx.AsyncClient(timeout=timeout_s, follow_redirects=True)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def healthy(self, url: str) -> bool:
        """Whether the address answered 2xx in time."""
        try:
            return (await self._client.get(url)).is_success
        except (httpx.HTTPError, httpx.InvalidURL):
            return False
