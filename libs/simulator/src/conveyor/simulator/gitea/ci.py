"""A tiny CI: for each commit pushed to a branch other than the default it posts pending, then a verdict."""

import asyncio
import dataclasses
from collections.abc import Callable

from conveyor.simulator.gitea.events import Move
from conveyor.simulator.gitea.forge import Forge
from conveyor.simulator.gitea.statuses import NewStatus, post_status
from conveyor.simulator.gitea.world import Repo, User

Decide = Callable[[str, str], str]


@dataclasses.dataclass(frozen=True)
class CiJob:
    """What to run: a context, who decides (from branch and sha) and how long it takes in seconds."""

    context: str
    decide: str | Decide
    delay_s: float
    user: User

    def verdict(self, branch: str, sha: str) -> str:
        """Return the state this job ends in."""
        return self.decide if isinstance(self.decide, str) else self.decide(branch, sha)


class Ci:
    """Listens to pushes and runs the jobs of the repository."""

    def __init__(self, forge: Forge) -> None:
        self._forge = forge
        self._jobs: dict[str, dict[str, CiJob]] = {}
        forge.push_listeners.append(self._pushed)

    def enable(self, repo: Repo, job: CiJob) -> None:
        """Run this job from now on; another with the same context is replaced."""
        self._jobs.setdefault(repo.full_name, {})[job.context] = job

    def disable(self, repo: Repo) -> None:
        """Run nothing any more for this repository."""
        self._jobs.pop(repo.full_name, None)

    def _pushed(self, repo: Repo, move: Move, _actor: User) -> None:
        if move.short == repo.default_branch or move.after is None:
            return
        for job in self._jobs.get(repo.full_name, {}).values():
            self._forge.spawn(self._run(repo, job, move.short, move.after), f"gitea-ci-{job.context}")

    async def _run(self, repo: Repo, job: CiJob, branch: str, sha: str) -> None:
        await post_status(self._forge, repo, sha, NewStatus("pending", job.context, "started"), job.user)
        await asyncio.sleep(job.delay_s)
        verdict = job.verdict(branch, sha)
        await post_status(self._forge, repo, sha, NewStatus(verdict, job.context, "finished"), job.user)
