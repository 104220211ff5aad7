"""What stands on the other side, for set-up and diagnosis: the product, the repository, and what the token may do."""

from msgspec import Struct

from conveyor.adapters.gitea.http import Call, Topic
from conveyor.adapters.gitea.product import Product, product_of
from conveyor.adapters.gitea.shapes import PermissionsRow, RepoRow, VersionRow


class RepoRights(Struct, frozen=True, kw_only=True):
    """One repository through the eyes of the token's account. A token's scopes can narrow this; none are shown."""

    default_branch: str
    is_archived: bool
    can_read: bool
    can_push: bool
    is_admin: bool
    """Needed to register webhooks."""


class Rights(Topic):
    """The topic of set-up. `repo` is `owner/name`."""

    async def version(self) -> str:
        """Return the server's version, such as 1.26.4 (Forgejo: 12.0.0+gitea-1.22.0)."""
        return (
            await self._http.ask(Call(path="version", doing="asking the forge for its version"), VersionRow)
        ).version

    async def product(self) -> Product:
        """Return which forge this is and what it cannot do; asked anew each time, since servers are updated."""
        return product_of(await self.version())

    async def rights(self, repo: str) -> RepoRights | None:
        """Return what the token's account may do, or None when there is no such repository or it is hidden."""
        row = await self._http.find(Call(path=f"repos/{repo}", doing=f"reading the repository {repo}"), RepoRow)
        if row is None:
            return None
        may = row.permissions or PermissionsRow()
        return RepoRights(
            default_branch=row.default_branch,
            is_archived=row.archived,
            can_read=may.pull,
            can_push=may.push,
            is_admin=may.admin,
        )
