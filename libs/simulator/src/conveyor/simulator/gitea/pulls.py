"""What can be done with a pull request short of merging it: open, find, edit, bring up to date, comment."""

import dataclasses

from conveyor.simulator.gitea import git_merge
from conveyor.simulator.gitea.forge import Forge
from conveyor.simulator.gitea.world import Comment, Pull, RefusalError, Repo, User


@dataclasses.dataclass(frozen=True)
class NewPull:
    """What it takes to open a pull request."""

    head: str
    base: str
    title: str
    body: str = ""
    reviewers: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class PullEdit:
    """What to change; None leaves a field as it is."""

    title: str | None = None
    body: str | None = None
    state: str | None = None
    base: str | None = None


async def open_pull(forge: Forge, repo: Repo, new: NewPull, actor: User) -> Pull:
    """Open a pull request, even one that changes nothing; refuses with 404, 409 (naming the one that exists) or 422."""
    head, base = new.head.rpartition(":")[2], new.base
    if head == base:
        raise RefusalError(422, f"Invalid PullRequest: There are no changes between the head and the base [{head}]")
    if head not in repo.heads or base not in repo.heads:
        raise RefusalError(404, "The target couldn't be found.")
    _refuse_second(repo, head, base)
    number = max(repo.pulls, default=0) + 1
    now = forge.now()
    pull = Pull(forge.world.next_id("pull"), number, new.title, new.body, actor, base, head, repo.heads[head], now, now)
    repo.pulls[number] = pull
    await repo.git.update_ref(f"refs/pull/{number}/head", pull.head_sha)
    pull.extent = await forge.extent(repo, pull)
    forge.recheck(repo, pull, at_once=True)
    if new.reviewers:
        request_reviewers(forge, repo, pull, new.reviewers, actor)
    forge.notifier.tell(repo, forge.teller(repo, actor).pull(pull, "opened"))
    return pull


def _refuse_second(repo: Repo, head: str, base: str) -> None:
    for pull in repo.open_pulls():
        if (pull.head, pull.base) == (head, base):
            where = f"id: {pull.id}, issue_id: {pull.number}, head_repo_id: {repo.id}, base_repo_id: {repo.id}"
            where += f", head_branch: {head}, base_branch: {base}"
            raise RefusalError(409, f"pull request already exists for these targets [{where}]")


def find_pull(repo: Repo, base: str, head: str) -> Pull:
    """Return the first pull request ever made between two branches, open or not; refuses with 404."""
    wanted = (base, head.rpartition(":")[2])
    for pull in repo.pulls.values():
        if (pull.base, pull.head) == wanted:
            return pull
    raise RefusalError(404, "The target couldn't be found.")


def request_reviewers(forge: Forge, repo: Repo, pull: Pull, logins: tuple[str, ...], actor: User) -> None:
    """Ask people for a review; refuses with 404 for somebody unknown."""
    for login in logins:
        reviewer = forge.world.user(login)
        pull.requested_reviewers.append(reviewer)
        extra = {"requested_reviewer": forge.shapes.user(reviewer)}
        forge.notifier.tell(repo, forge.teller(repo, actor).pull(pull, "review_requested", **extra))


def edit_pull(forge: Forge, repo: Repo, pull: Pull, edit: PullEdit, actor: User) -> None:
    """Change a pull request; each changed field is one delivery. Refuses with 412 to move a merged one's state."""
    if edit.state is not None and edit.state != pull.state and pull.merged:
        raise RefusalError(412, "cannot change state of this pull request, it was already merged")
    if edit.base is not None and edit.base != pull.base:
        _retarget(forge, repo, pull, edit.base, actor)
    _edit_text(forge, repo, pull, edit, actor)
    if edit.state == "closed" and pull.state == "open":
        forge.close(repo, pull, actor)
    elif edit.state == "open" and pull.state == "closed":
        _reopen(forge, repo, pull, actor)


def _edit_text(forge: Forge, repo: Repo, pull: Pull, edit: PullEdit, actor: User) -> None:
    for field, new in (("title", edit.title), ("body", edit.body)):
        old = getattr(pull, field)
        if new is not None and new != old:
            setattr(pull, field, new)
            pull.updated_at = forge.now()
            changes = {field: {"from": old}}
            forge.notifier.tell(repo, forge.teller(repo, actor).pull(pull, "edited", changes=changes))


def _retarget(forge: Forge, repo: Repo, pull: Pull, base: str, actor: User) -> None:
    if base not in repo.heads:
        raise RefusalError(404, "The target couldn't be found.")
    _refuse_second(repo, pull.head, base)
    old, pull.base = pull.base, base
    forge.recheck(repo, pull, at_once=True)
    changes = {"ref": {"from": old}}
    forge.notifier.tell(repo, forge.teller(repo, actor).pull(pull, "edited", changes=changes))


def _reopen(forge: Forge, repo: Repo, pull: Pull, actor: User) -> None:
    if pull.head not in repo.heads or pull.base not in repo.heads:
        raise RefusalError(404, "The target couldn't be found.")
    _refuse_second(repo, pull.head, pull.base)
    pull.state, pull.closed_at, pull.head_sha = "open", None, repo.heads[pull.head]
    forge.recheck(repo, pull, at_once=True)
    forge.notifier.tell(repo, forge.teller(repo, actor).pull(pull, "reopened"))


async def update_pull(forge: Forge, repo: Repo, pull: Pull, style: str, actor: User) -> None:
    """Bring the base into the head by merge or rebase.

    Refuses with 409 on conflict, 422 when it is over, and 500 when the head has all of the base already.
    """
    if pull.state != "open":
        raise RefusalError(422, "pull request is closed")
    async with repo.lock:
        base, head, who = repo.heads[pull.base], repo.heads[pull.head], forge.signature(actor)
        if await repo.git.merge_base(base, head) == base:
            raise RefusalError(500, f"HeadBranch of PR {pull.number} is up to date")
        try:
            if style == "rebase":
                new = await git_merge.rebase(repo.git, base, head, who)
            else:
                message = f"Merge branch '{pull.base}' into {pull.head}"
                new = await git_merge.merge_commit(repo.git, head, base, message, who)
        except git_merge.MergeConflictError as conflict:
            raise RefusalError(409, "merge failed because of conflict") from conflict
        await repo.git.update_ref(f"refs/heads/{pull.head}", new, head)
        await forge.refs_moved(repo, actor)


def comment_pull(forge: Forge, repo: Repo, pull: Pull, body: str, actor: User) -> Comment:
    """Write into a pull request's conversation."""
    now = forge.now()
    comment = Comment(forge.world.next_id("comment"), actor, body, now, now)
    pull.comments.append(comment)
    forge.notifier.tell(repo, forge.teller(repo, actor).commented(pull, comment, "created"))
    return comment


def find_comment(repo: Repo, comment_id: int) -> tuple[Pull, Comment]:
    """Return a comment and where it stands; refuses with 404."""
    for pull in repo.pulls.values():
        for comment in pull.comments:
            if comment.id == comment_id:
                return pull, comment
    raise RefusalError(404, "The target couldn't be found.")
