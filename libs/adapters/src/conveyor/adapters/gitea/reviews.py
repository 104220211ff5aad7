"""Reviews of a pull request, as people gave them on the forge."""

from conveyor.adapters.gitea.http import Call, Topic
from conveyor.adapters.gitea.shapes import ReviewRow
from conveyor.contracts.observed import Review

_VERDICTS = {"APPROVED": "approved", "REQUEST_CHANGES": "rejected", "COMMENT": "commented"}


class Reviews(Topic):
    """The topic of reviews. `repo` is `owner/name`."""

    async def reviews(self, repo: str, number: int) -> tuple[Review, ...]:
        """Return the reviews given, oldest first; drafts and open requests are none.

        The latest of each reviewer that was not dismissed decides; Gitea does not pick it.
        """
        call = Call(path=f"repos/{repo}/pulls/{number}/reviews", doing=f"reading the reviews of {repo} #{number}")
        return tuple(
            Review(
                reviewer=row.user.login if row.user else "",
                verdict=_VERDICTS[row.state],
                commit_id=row.commit_id or "",
                dismissed=row.dismissed,
                stale=row.stale,
                text=row.body or "",
            )
            for row in await self._http.rows(call, list[ReviewRow])
            if row.state in _VERDICTS
        )
