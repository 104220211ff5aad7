"""Merging a pull request: Gitea's table of refusals in Gitea's order, then the merge itself in git."""

import dataclasses

from conveyor.simulator.gitea import git_merge
from conveyor.simulator.gitea.forge import Forge
from conveyor.simulator.gitea.reviews import official_verdicts
from conveyor.simulator.gitea.statuses import required_pass
from conveyor.simulator.gitea.world import Protection, Pull, RefusalError, Repo, User

STYLES = ("merge", "rebase", "rebase-merge", "squash", "fast-forward-only", "manually-merged")


@dataclasses.dataclass(frozen=True)
class MergeOrder:
    """How to merge; `head_commit_id` guards the head, nothing guards the base."""

    style: str = "merge"
    head_commit_id: str = ""
    title: str = ""
    message: str = ""
    delete_branch: bool = False
    force: bool = False


class MergeConflictRefusalError(Exception):
    """A conflict met while merging: 409 with git's output and no `message`."""

    def __init__(self, style: str, said: str) -> None:
        super().__init__(said)
        self.style = style
        self.said = said


async def merge_pull(forge: Forge, repo: Repo, pull: Pull, order: MergeOrder, actor: User) -> str:
    """Merge and return the new commit on the base; refuses as Gitea does.

    The pull request's `closed` is told before the base's `push`, and every other open pull request on this base is
    checked again, also when the merge failed.
    """
    try:
        refuse_merge(repo, pull, order, actor)
    except RefusalError as refusal:
        raise forge.flavour.reworded(refusal) from None
    merge = _Merge(forge, repo, pull, order, actor)
    base = repo.heads[pull.base]
    try:
        async with repo.lock:
            return await merge.run(base)
    finally:
        for other in repo.open_pulls():
            if other.base == pull.base:
                forge.recheck(repo, other, at_once=True)


@dataclasses.dataclass(frozen=True)
class _Merge:
    """One merge that nothing stands in the way of, as far as was known before the repository's lock was taken."""

    forge: Forge
    repo: Repo
    pull: Pull
    order: MergeOrder
    actor: User

    async def run(self, base: str) -> str:
        """Merge onto the base as it was when the merge was asked for. Call it under the lock."""
        repo, pull = self.repo, self.pull
        head = repo.heads.get(pull.head, "")
        if self.order.head_commit_id and self.order.head_commit_id != head:
            raise RefusalError(409, "head out of date")
        if pull.merged or repo.heads.get(pull.base) != base:
            # What a loser of two merges at the same time hears: the base is no longer where its merge began.
            lost = f"failed to push some refs: cannot lock ref 'refs/heads/{pull.base}'"
            raise RefusalError(409, f"PushRejected with remote message: {lost}")
        new = await self._build(base, head)
        await repo.git.update_ref(f"refs/heads/{pull.base}", new, base)
        self._mark_merged(new, head)
        if self.order.delete_branch:
            await repo.git.delete_ref(f"refs/heads/{pull.head}")
        await self.forge.refs_moved(repo, self.actor)
        return new

    def _mark_merged(self, new: str, head: str) -> None:
        pull, now = self.pull, self.forge.now()
        pull.state, pull.merged_at, pull.closed_at, pull.updated_at = "closed", now, now, now
        pull.merge_commit_sha, pull.merged_by, pull.head_sha = new, self.actor, head
        pull.check_round += 1
        pull.check = "mergeable"
        pull.judged.set()
        self.forge.notifier.tell(self.repo, self.forge.teller(self.repo, self.actor).pull(pull, "closed"))

    async def _build(self, base: str, head: str) -> str:
        git, who, style = self.repo.git, self.forge.signature(self.actor), self.order.style
        try:
            if style == "squash":
                return await git_merge.squash(git, base, head, self._message(f"{self.pull.title}"), who)
            if style == "fast-forward-only":
                return await self._fast_forward(base, head)
            if style in ("rebase", "rebase-merge"):
                head = await git_merge.rebase(git, base, head, who)
            if style == "rebase":
                return head
            subject = f"Merge pull request '{self.pull.title}'"
            return await git_merge.merge_commit(git, base, head, self._message(subject), who)
        except git_merge.MergeConflictError as conflict:
            # A squash leaves no MERGE_HEAD, so Gitea does not see that it was a conflict.
            if style == "squash":
                raise RefusalError(500, str(conflict)) from conflict
            raise MergeConflictRefusalError(style, str(conflict)) from conflict

    def _message(self, subject: str) -> str:
        where = "" if self.order.style == "squash" else f" from {self.pull.head} into {self.pull.base}"
        title = self.order.title or f"{subject} (#{self.pull.number}){where}"
        return "\n\n".join(part for part in (title, self.order.message) if part)

    async def _fast_forward(self, base: str, head: str) -> str:
        if await self.repo.git.merge_base(base, head) != base:
            raise RefusalError(500, "fatal: Not possible to fast-forward, aborting.")
        return head


def refuse_merge(repo: Repo, pull: Pull, order: MergeOrder, actor: User) -> None:
    """Raise the refusal that stands in the way, if one does."""
    if order.style not in STYLES:
        raise RefusalError(422, "[Do]: In")
    _refuse_over(pull)
    if not repo.allows(actor, "write"):
        raise RefusalError(405, "User not allowed to merge PR")
    if pull.draft:
        raise RefusalError(405, "Work in progress PRs cannot be merged")
    if pull.check not in ("mergeable", "empty"):
        raise RefusalError(405, "Please try again later")
    rule = repo.protections.get(pull.base)
    if rule is not None and not (order.force and repo.allows(actor, "admin")):
        _refuse_protected(repo, pull, rule)
    if order.style not in repo.merge_styles:
        raise RefusalError(405, f"{order.style} is not allowed an allowed merge style for this repository")


def _refuse_over(pull: Pull) -> None:
    if pull.merged:
        raise RefusalError(405, "The PR is already merged")
    if pull.state == "closed":
        raise RefusalError(404, "The target couldn't be found.")


def _refuse_protected(repo: Repo, pull: Pull, rule: Protection) -> None:
    if rule.enable_status_check and not required_pass(repo, repo.head_sha(pull), rule):
        raise RefusalError(405, "Not all required status checks successful")
    verdicts = list(official_verdicts(pull).values())
    if verdicts.count("APPROVED") < rule.required_approvals:
        raise RefusalError(405, "Does not have enough approvals")
    if rule.block_on_rejected_reviews and "REQUEST_CHANGES" in verdicts:
        raise RefusalError(405, "There are requested changes")
    if rule.block_on_outdated_branch and pull.extent.merge_base != repo.heads.get(pull.base):
        raise RefusalError(405, "The head branch is behind the base branch")
