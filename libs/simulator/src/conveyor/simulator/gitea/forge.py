"""The heart of the simulated Gitea: holds the world, notices which branches moved and draws the consequences (webhooks,
synchronized pull requests, the slow check whether they can be merged).
"""

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any

from conveyor.simulator.clock import Clock
from conveyor.simulator.gitea import git_merge
from conveyor.simulator.gitea.events import FEED_MAX_COMMITS, Move, Teller
from conveyor.simulator.gitea.faults import RestFaults
from conveyor.simulator.gitea.flavour import GITEA, Flavour
from conveyor.simulator.gitea.git import GitRepository, Signature
from conveyor.simulator.gitea.shapes import Json, Shapes
from conveyor.simulator.gitea.webhooks import Event, Notifier
from conveyor.simulator.gitea.world import CheckStatus, Extent, Pull, Repo, User, World

ANCESTORS_SHOWN = 10  # a push that makes a branch lists up to ten ancestors, not "new work"


@dataclasses.dataclass
class Timing:
    """How slow the check for conflicts is (seconds): first `mergeable` is still the old answer, then it is false."""

    stale_s: float = 0.02
    checking_s: float = 0.1


class Forge:
    """Everything behind the HTTP surface; one event loop, one lock a repository for moving branches."""

    def __init__(self, root: Path, clock: Clock, timing: Timing, flavour: Flavour = GITEA) -> None:
        self.root = root
        self.clock = clock
        self.timing = timing
        self.flavour = flavour
        self.world = World()
        self.shapes = Shapes(self.world)
        self.notifier = Notifier(flavour)
        self.rest_faults = RestFaults()
        self.push_listeners: list[Callable[[Repo, Move, User], None]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def adopt(self, world: World) -> None:
        """Go on with the world of an earlier life, whose repositories lie in `root`; call it before the first start."""
        vars(self.world).update(vars(world))

    def now(self) -> str:
        """Return the time as Gitea writes it: UTC, whole seconds."""
        return self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def age_s(self, stamp: str) -> float:
        """Return how many seconds ago a time written by `now` was."""
        return (self.clock.now() - datetime.fromisoformat(stamp)).total_seconds()

    def signature(self, user: User) -> Signature:
        """Return this user as author of a commit made now."""
        return Signature(user.login, user.email, self.now())

    def teller(self, repo: Repo, actor: User) -> Teller:
        """Return the builder of events for what this user did in this repository."""
        return Teller(self.shapes, repo, actor)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run something in the background until the server stops; `settled` waits for it and raises what it raised."""
        self._tasks.add(asyncio.create_task(work, name=name))

    async def settled(self) -> None:
        """Wait until all background work is done; raises the first error of it."""
        while self._tasks:
            done, _ = await asyncio.wait(self._tasks)
            self._tasks -= done
            for task in done:
                task.result()

    async def abandon(self) -> None:
        """Stop all background work."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def create_repo(self, owner: User, name: str, *, private: bool, default_branch: str = "main") -> Repo:
        """Create an empty repository with its bare git folder."""
        git = GitRepository(self.root / owner.login / f"{name}.git")
        await git.init(default_branch)
        now = self.now()
        repo = Repo(self.world.next_id("repo"), owner, name, private, default_branch, git, now, now)
        self.world.repos[repo.full_name] = repo
        return repo

    async def refs_moved(self, repo: Repo, actor: User) -> None:
        """Compare git's refs with what was known, and tell about every difference. Call it under the lock."""
        fresh = await repo.git.refs("refs/heads/") | await repo.git.refs("refs/tags/")
        known, repo.refs = repo.refs, fresh
        for ref in sorted(known.keys() | fresh.keys()):
            if known.get(ref) != fresh.get(ref):
                await self._moved(repo, Move(ref, known.get(ref), fresh.get(ref)), actor)

    async def _moved(self, repo: Repo, move: Move, actor: User) -> None:
        repo.updated_at = self.now()
        teller = self.teller(repo, actor)
        if move.before is None:
            self.notifier.tell(repo, teller.created(move))
        if move.after is None:
            self.notifier.tell(repo, teller.deleted(move))
        if move.after is not None or move.kind == "tag":
            self.notifier.tell(repo, await self._push_event(teller, move))
        if move.kind == "branch":
            await self._branch_moved(repo, move, actor)

    async def _push_event(self, teller: Teller, move: Move) -> Event:
        if move.after is None:
            return teller.pushed(move, [], 0)
        repo = teller.repo
        span = move.after if move.before is None else f"{move.before}..{move.after}"
        total = await repo.git.count(span)
        commits = await repo.git.commits(span, limit=ANCESTORS_SHOWN if move.before is None else FEED_MAX_COMMITS)
        shown = [await self.commit_payload(repo, commit.sha) for commit in commits[:FEED_MAX_COMMITS]]
        return teller.pushed(move, shown, min(total, ANCESTORS_SHOWN) if move.before is None else total)

    async def commit_payload(self, repo: Repo, sha: str) -> Json:
        """Return a commit in the shape of webhooks and branches."""
        return self.shapes.commit_payload(repo, await repo.git.commit(sha), await repo.git.delta(sha))

    async def _branch_moved(self, repo: Repo, move: Move, actor: User) -> None:
        for pull in repo.open_pulls():
            if move.short not in (pull.head, pull.base):
                continue
            if move.after is None:
                self.close(repo, pull, actor)
            elif move.short == pull.head:
                await self._synchronize(repo, pull, move.after, actor)
            else:
                self.recheck(repo, pull)
        if move.after is not None:
            for listener in self.push_listeners:
                listener(repo, move, actor)

    async def _synchronize(self, repo: Repo, pull: Pull, sha: str, actor: User) -> None:
        pull.head_sha, pull.updated_at = sha, self.now()
        await repo.git.update_ref(f"refs/pull/{pull.number}/head", sha)
        pull.extent = await self.extent(repo, pull)
        self.recheck(repo, pull)
        self.notifier.tell(repo, self.teller(repo, actor).pull(pull, "synchronized"))

    def close(self, repo: Repo, pull: Pull, actor: User) -> None:
        """Close a pull request without merging it."""
        pull.state, pull.closed_at, pull.updated_at = "closed", self.now(), self.now()
        pull.judged.set()
        self.notifier.tell(repo, self.teller(repo, actor).pull(pull, "closed"))

    async def extent(self, repo: Repo, pull: Pull) -> Extent:
        """Measure what a pull request changes."""
        base, head = repo.heads.get(pull.base, ""), pull.head_sha
        merge_base = await repo.git.merge_base(base, head)
        if not merge_base:
            return Extent()
        lines = (await repo.git.git("diff", "--numstat", merge_base, head)).splitlines()
        counts = [[int(number) for number in line.split("\t")[:2] if number.isdigit()] for line in lines]
        return Extent(
            merge_base=merge_base,
            additions=sum(count[0] for count in counts if count),
            deletions=sum(count[1] for count in counts if count),
            changed_files=len(lines),
        )

    def recheck(self, repo: Repo, pull: Pull, *, at_once: bool = False) -> None:
        """Start the check for conflicts: the old answer stays for a moment (unless `at_once`), then it is checking."""
        pull.check_round += 1
        if at_once:
            pull.check = "checking"
        pull.judged.clear()
        self.spawn(self._check(repo, pull, pull.check_round), f"gitea-check-{repo.full_name}-{pull.number}")

    async def _check(self, repo: Repo, pull: Pull, number: int) -> None:
        await asyncio.sleep(0 if pull.check == "checking" else self.timing.stale_s)
        if pull.check_round != number or pull.state != "open":
            return
        pull.check = "checking"
        found, _ = await asyncio.gather(self._judge(repo, pull), asyncio.sleep(self.timing.checking_s))
        if pull.check_round == number and pull.state == "open":
            pull.check = found
            pull.judged.set()

    async def _judge(self, repo: Repo, pull: Pull) -> CheckStatus:
        base, head = repo.heads.get(pull.base, ""), repo.head_sha(pull)
        if not base:
            return "conflict"
        if await repo.git.merge_base(base, head) == head:
            return "ancestor"
        pull.extent = await self.extent(repo, pull)
        try:
            who = Signature("gitea", "gitea@localhost", self.now())
            await git_merge.merge_commit(repo.git, base, head, "check", who)
        except git_merge.MergeConflictError:
            return "conflict"
        return "mergeable" if pull.extent.changed_files else "empty"
