"""Commit statuses: posted unchecked, listed newest first, combined one page at a time."""

import dataclasses
import fnmatch

from conveyor.simulator.gitea.forge import Forge
from conveyor.simulator.gitea.git import GitError
from conveyor.simulator.gitea.world import Protection, RefusalError, Repo, Status, User


@dataclasses.dataclass(frozen=True)
class NewStatus:
    """A status to be posted; Gitea takes any word as its state."""

    state: str
    context: str = "default"
    description: str = ""
    target_url: str = ""


async def post_status(forge: Forge, repo: Repo, sha: str, new: NewStatus, actor: User) -> Status:
    """Store a status and tell about it. An unknown commit is refused with 500, not with 404."""
    try:
        commit = await forge.commit_payload(repo, sha)
    except GitError as failure:
        raise RefusalError(500, "") from failure
    known = repo.statuses.setdefault(commit["id"], [])
    status = Status(
        id=forge.world.next_id("status"),
        index=len(known) + 1,
        sha=commit["id"],
        state=new.state,
        context=new.context or "default",
        description=new.description,
        target_url=new.target_url,
        creator=actor,
        created_at=forge.now(),
    )
    known.append(status)
    forge.notifier.tell(repo, forge.teller(repo, actor).status(status, commit))
    return status


def latest_statuses(repo: Repo, sha: str) -> list[Status]:
    """Return the newest status of each context."""
    return list({status.context: status for status in repo.statuses.get(sha, [])}.values())


def combine(states: list[str]) -> str:
    """Return one word for many: any failure fails, all of success or skipped succeed, everything else is pending."""
    if any(state in ("error", "failure", "warning") for state in states):
        return "failure"
    if states and all(state in ("success", "skipped") for state in states):
        return "success"
    return "pending"


_OLDER_ORDER = ("error", "failure", "warning", "pending", "success")


def worst(states: list[str]) -> str:
    """Return the worst word of many, as Gitea combined until 1.24 and Forgejo does; an error is a failure."""
    known = [state for state in _OLDER_ORDER if state in states]
    return "failure" if known[:1] == ["error"] else known[0] if known else ""


def required_pass(repo: Repo, sha: str, rule: Protection) -> bool:
    """Whether the statuses that a protection rule asks for are there and green; without globs all must be."""
    latest = latest_statuses(repo, sha)
    if not rule.status_check_contexts:
        return combine([status.state for status in latest]) == "success"
    for glob in rule.status_check_contexts:
        matching = [status.state for status in latest if fnmatch.fnmatchcase(status.context, glob)]
        if combine(matching) != "success":
            return False
    return True
