"""The events Gitea tells its hooks about, one builder each. Bodies that show a pull request are built when they are
sent: head, base and `mergeable` are those of that moment.
"""

import dataclasses
from typing import Any

from conveyor.simulator.gitea.git import ZERO_SHA
from conveyor.simulator.gitea.shapes import Json, Shapes
from conveyor.simulator.gitea.webhooks import Event
from conveyor.simulator.gitea.world import Comment, Pull, Repo, Status, User

FEED_MAX_COMMITS = 5  # Gitea's `[ui] FEED_MAX_COMMIT_NUM`
REVIEW_EVENTS = {
    "APPROVED": ("pull_request_approved", "pull_request_review_approved"),
    "REQUEST_CHANGES": ("pull_request_rejected", "pull_request_review_rejected"),
    "COMMENT": ("pull_request_comment", "pull_request_review_comment"),
}


@dataclasses.dataclass(frozen=True)
class Move:
    """A branch or tag that went from one commit to another; None stands for not being there."""

    ref: str
    before: str | None
    after: str | None

    @property
    def short(self) -> str:
        """The name without `refs/heads/` or `refs/tags/`."""
        return self.ref.split("/", 2)[2]

    @property
    def kind(self) -> str:
        """Either branch or tag."""
        return "branch" if self.ref.startswith("refs/heads/") else "tag"


@dataclasses.dataclass(frozen=True)
class Teller:
    """Who did something where: the part that every body ends with."""

    shapes: Shapes
    repo: Repo
    actor: User

    def _tail(self) -> Json:
        return {"repository": self.shapes.repo(self.repo, self.actor), "sender": self.shapes.user(self.actor)}

    def created(self, move: Move) -> Event:
        """Tell that a branch or tag came into being; the name is short here."""
        body = {"sha": move.after, "ref": move.short, "ref_type": move.kind}
        label = f"create {self.repo.full_name} {move.short}"
        return Event("create", "create", "create", label, lambda: body | self._tail(), _branch(move), move.ref)

    def deleted(self, move: Move) -> Event:
        """Tell that a branch or tag is gone; no sha, and for a branch no push follows."""
        body = {"ref": move.short, "ref_type": move.kind, "pusher_type": "user"}
        label = f"delete {self.repo.full_name} {move.short}"
        return Event("delete", "delete", "delete", label, lambda: body | self._tail(), _branch(move), move.ref)

    def pushed(self, move: Move, commits: list[Json], total: int) -> Event:
        """Tell about a push; `commits` newest first, of which at most five are shown."""
        before, after = move.before or ZERO_SHA, move.after or ZERO_SHA
        body: Json = {
            "ref": move.ref,
            "before": before,
            "after": after,
            "compare_url": f"{self.shapes.url}/{self.repo.full_name}/compare/{before}...{after}",
            "commits": commits[:FEED_MAX_COMMITS],
            "total_commits": total,
            "head_commit": commits[0] if commits else None,
        }

        def build() -> Json:
            tail = self._tail()
            return body | {"repository": tail["repository"], "pusher": tail["sender"], "sender": tail["sender"]}

        return Event("push", "push", "push", f"push {self.repo.full_name} {move.short}", build, _branch(move))

    def pull(self, pull: Pull, action: str, **extra: Any) -> Event:
        """Tell about a pull request; `extra` are keys such as `changes` and `requested_reviewer`."""
        kind = {"synchronized": "pull_request_sync", "review_requested": "pull_request_review_request"}.get(
            action, "pull_request"
        )
        return self._pull(pull, ("pull_request", kind, kind), {"action": action} | extra)

    def reviewed(self, pull: Pull, state: str, text: str) -> Event:
        """Tell about a review: neither its id nor the reviewed commit are in it."""
        name, kind = REVIEW_EVENTS[state]
        extra = {
            "action": "reviewed",
            "review": {"type": kind, "content": text},
            "requested_reviewer": self.shapes.user(self.actor),
        }
        return self._pull(pull, (name, kind, "pull_request_review"), extra)

    def _pull(self, pull: Pull, names: tuple[str, str, str], extra: Json) -> Event:
        def build() -> Json:
            shown = {"action": extra["action"], "number": pull.number}
            shown |= {"changes": extra["changes"]} if "changes" in extra else {}
            shown |= {
                "pull_request": self.shapes.pull(self.repo, pull),
                "requested_reviewer": extra.get("requested_reviewer"),
            }
            return shown | self._tail() | {"commit_id": "", "review": extra.get("review")}

        label = f"{names[1]} {extra['action']} {self.repo.full_name}#{pull.number}"
        return Event(*names, label, build)

    def commented(self, pull: Pull, comment: Comment, action: str) -> Event:
        """Tell about a comment in a pull request's conversation."""

        def build() -> Json:
            return {
                "action": action,
                "issue": self.shapes.issue(self.repo, pull),
                "pull_request": self.shapes.pull(self.repo, pull),
                "comment": self.shapes.comment(self.repo, pull, comment),
                **self._tail(),
                "is_pull": True,
            }

        label = f"pull_request_comment {action} {self.repo.full_name}#{pull.number}"
        return Event("issue_comment", "pull_request_comment", "pull_request_comment", label, build)

    def status(self, status: Status, commit: Json) -> Event:
        """Tell about a commit status: it names a commit, never a branch."""

        def build() -> Json:
            return {
                "commit": commit,
                "context": status.context,
                "created_at": status.created_at,
                "description": status.description,
                "id": status.id,
                **self._tail(),
                "sha": status.sha,
                "state": status.state,
                "target_url": status.target_url,
                "updated_at": status.created_at,
            }

        label = f"status {status.state} {self.repo.full_name} {status.context}"
        return Event("status", "status", "status", label, build)


def _branch(move: Move) -> str | None:
    return move.short if move.kind == "branch" else None
