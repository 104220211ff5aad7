"""Gitea as the services see it: every topic of its REST interface behind one token."""

from conveyor.adapters.gitea.branches import Branches
from conveyor.adapters.gitea.contents import Contents
from conveyor.adapters.gitea.hooks import Hooks
from conveyor.adapters.gitea.http import Call, GiteaHttp
from conveyor.adapters.gitea.merge import Merging
from conveyor.adapters.gitea.pulls import Pulls
from conveyor.adapters.gitea.reviews import Reviews
from conveyor.adapters.gitea.shapes import UserRow
from conveyor.adapters.gitea.statuses import Statuses


class GiteaForge(Branches, Contents, Statuses, Pulls, Reviews, Merging, Hooks):
    """One server through one account's token. `repo` is `owner/name` everywhere."""

    def __init__(self, url: str, token: str) -> None:
        super().__init__(GiteaHttp(url, token))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def me(self) -> str:
        """Return the login of the token's account."""
        return (await self._http.ask(Call(path="user", doing="asking Gitea who the token belongs to"), UserRow)).login
